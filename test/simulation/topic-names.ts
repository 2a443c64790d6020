export const TOPIC = "orders";
export const DEAD_LETTERS = "orders.dlq";
