/** The server-sent events of an answer, as they come. */
export function eventStream(response: Response) {
  const reader = response.body!.getReader();
  let text = "";
  return {
    /** Resolves with the data of the next event of that name. */
    async next<Data>(name: string): Promise<Data> {
      for (;;) {
        const found = new RegExp(`event: ${name}\ndata: (.*)\n\n`).exec(text);
        if (found) {
          text = text.slice(found.index + found[0].length);
          return JSON.parse(found[1]!) as Data;
        }
        const { done, value } = await reader.read();
        if (done) throw new Error(`the stream ended before ${name}`);
        text += Buffer.from(value).toString();
      }
    },
    leave: () => reader.cancel(),
  };
}
