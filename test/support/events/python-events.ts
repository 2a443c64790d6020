/**
 * Events byte for byte as the Python predecessor writes them: json.dumps' separators, dates without a zone, a float
 * that is no decimal. They share no code with src, so that a mistake there is not made here too.
 */
export const pythonCreate = (orderId: string, eventId: string = crypto.randomUUID()): string =>
  `{"event_id": "${eventId}", "event_type": "ORDER_CREATED", "timestamp": "2026-11-22T21:42:39.413905", "order_id": "${orderId}", ` +
  `"order": {"order_id": "${orderId}", "customer_id": "CUST-00042", "order_date": "2026-11-22T21:42:39.413708", ` +
  `"items": [{"item_id": "ITEM-001", "quantity": 3, "price": 411.80999999999995}], "total_amount": 1235.4299999999998, "currency": "USD", "status": "new"}}`;

export const pythonUpdate = (orderId: string, status: string, eventId: string = crypto.randomUUID()): string =>
  `{"event_id": "${eventId}", "event_type": "ORDER_STATUS_UPDATED", "timestamp": "2026-11-22T21:42:40.000001", "order_id": "${orderId}", "status": "${status}"}`;
