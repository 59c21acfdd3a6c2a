// What the official JavaScript SDK needs over plain http, where it keeps tokens back: a chain of middleware whose first
// member sets the header. Over https none of it is needed.

import { Client, HTTPMessageHandler, RetryHandler } from "@microsoft/microsoft-graph-client";

/** Sets the token; and mends the addresses of next pages, which over http the SDK puts behind the server's own again. */
class Token {
  constructor(token, next) {
    this.token = token;
    this.next = next;
  }
  async execute(context) {
    context.request = context.request.replace(/^.*(https?:\/\/.*https?:\/\/)/, (all) => all.slice(all.lastIndexOf("http")));
    context.options.headers = { ...context.options.headers, Authorization: `Bearer ${this.token}` };
    await this.next.execute(context);
  }
}

export const overPlainHttp = (server, token) => {
  const retry = new RetryHandler();
  retry.setNext(new HTTPMessageHandler());
  return Client.initWithMiddleware({ middleware: new Token(token, retry), baseUrl: server, defaultVersion: "v1.0" });
};
