// Answers questions about the package, one JSON document a line, in the order they came.
//   {"ask": "sign", "secret", "id", "timestamp", "body"} -> {"signature"}
//   {"ask": "verify", "secret", "headers", "body"}       -> {"refused": null or why}
// A body is base64. Where its code has a fault, the process ends with a stack trace.
"use strict";

const readline = require("node:readline");
const { createRequire } = require("node:module");

// The package is installed elsewhere: nothing is written beside this file.
const { Webhook, WebhookVerificationError } = createRequire(`${process.cwd()}/`)("standardwebhooks");

function verify({ secret, headers, body }) {
  try {
    new Webhook(secret).verify(Buffer.from(body, "base64"), headers, { jsonParse: false });
    return { refused: null };
  } catch (error) {
    if (error instanceof WebhookVerificationError) return { refused: error.message };
    throw error;
  }
}

function sign({ secret, id, timestamp, body }) {
  const time = new Date(timestamp * 1000);
  return { signature: new Webhook(secret).sign(id, time, Buffer.from(body, "base64")) };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const question = JSON.parse(line);
  const answer = question.ask === "sign" ? sign(question) : verify(question);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
