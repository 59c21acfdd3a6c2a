// The official JavaScript SDK sends no token over unencrypted http. This middleware sets the header. Over https it is not
// needed.

import { Client, HTTPMessageHandler, RetryHandler } from "@microsoft/microsoft-graph-client";

/** Sets the token. It also repairs the links to next pages: over http, the SDK puts the server's address before the full link. */
class Token {
  constructor(token, next) {
    this.token = token;
    this.next = next;
  }
  async execute(context) {
    context.request = context.request.replace(/^.*(https?:\/\/.*https?:\/\/)/, (url) => url.slice(url.lastIndexOf("http")));
    context.options.headers = { ...context.options.headers, Authorization: `Bearer ${this.token}` };
    await this.next.execute(context);
  }
}

export const overPlainHttp = (server, token) => {
  const retry = new RetryHandler();
  retry.setNext(new HTTPMessageHandler());
  return Client.initWithMiddleware({ middleware: new Token(token, retry), baseUrl: server, defaultVersion: "v1.0" });
};
