// imapflow and nodemailer: mail.mjs PROTOCOL TLS HOST PORT CA LOGIN SENDER RECIPIENT, with the password in the environment (PASSWORD),
// and the folder of the packages (PACKAGES).
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [protocol, tls, host, port, ca, user, from, to] = process.argv.slice(2);
const pass = process.env.PASSWORD;
const require = createRequire(`${process.env.PACKAGES}/package.json`);
const common = { host, port: Number(port), secure: tls === "implicit", auth: { user, pass }, logger: false, tls: { ca: readFileSync(ca) } };

async function read() {
  const { ImapFlow } = require("imapflow");
  const client = new ImapFlow({ ...common, doSTARTTLS: tls === "none" ? false : tls === "starttls" ? true : undefined });
  await client.connect();
  const lock = await client.getMailboxLock("INBOX");
  const { source } = await client.fetchOne("1", { source: true });
  lock.release();
  await client.logout();
  process.stdout.write(source);
}

async function send() {
  const nodemailer = require("nodemailer");
  const transport = nodemailer.createTransport({ ...common, ignoreTLS: tls === "none", requireTLS: tls === "starttls" });
  await transport.sendMail({ envelope: { from, to: [to] }, raw: readFileSync(0) });
  transport.close();
}

try {
  await (protocol === "smtp" ? send() : read());
} catch (trouble) {
  console.error(trouble, trouble.response ?? "", trouble.responseText ?? "");
  process.exit(1);
}
