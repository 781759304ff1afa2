// What a person does by hand, in Thunderbird's own words: believe an authority, set up a server, fetch or send a message. Runs within
// Thunderbird, where `arguments` is the order of thunderbird.py and a function that takes the answer: [message in base64, trouble].
const [order, answer] = arguments;
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const socketType = { none: "plain", starttls: "alwaysSTARTTLS", implicit: "SSL" }[order.tls];

function setUp(server) {
  server.port = order.port;
  server.socketType = Ci.nsMsgSocketType[socketType];
  server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  server.password = order.password;
  return server;
}

// What Thunderbird calls when it has done with a URL.
function finished(begin) {
  return new Promise((resolve, reject) => {
    begin({
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl: (_, status) => (status === Cr.NS_OK ? resolve() : reject(new Error(`status 0x${status.toString(16)}`))),
    });
  });
}

function read(folder, header) {
  const uri = folder.getUriForMsg(header);
  return new Promise((resolve, reject) => {
    let message = "";
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
      onStartRequest() {},
      onDataAvailable(_, stream, offset, count) {
        const bytes = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
        bytes.setInputStream(stream);
        message += bytes.readBytes(count);
      },
      onStopRequest: (_, status) => (status === Cr.NS_OK ? resolve(btoa(message)) : reject(new Error(`status ${status}`))),
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", false);
  });
}

async function fetchMessage() {
  const server = setUp(MailServices.accounts.createIncomingServer(order.login, order.host, order.protocol));
  MailServices.accounts.createAccount().incomingServer = server;
  const root = server.rootFolder;
  let inbox;
  if (order.protocol === "pop3") {
    inbox = root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    await finished((listener) => MailServices.pop3.GetNewMail(null, listener, inbox, server));
  } else {
    await finished((listener) => MailServices.imap.discoverAllFolders(root, listener, null));
    inbox = root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    inbox.QueryInterface(Ci.nsIMsgImapMailFolder);
    await finished((listener) => MailServices.imap.selectFolder(inbox, listener, null));
  }
  const [header] = [...inbox.messages];
  return read(inbox, header);
}

async function sendMessage() {
  const server = setUp(MailServices.outgoingServer.createServer("smtp").QueryInterface(Ci.nsISmtpServer));
  server.hostname = order.host;
  server.username = order.login;
  const identity = MailServices.accounts.createIdentity();
  identity.email = order.sender;
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(order.file);
  const recipients = MailServices.headerParser.makeFromDisplayAddress(order.recipient);
  const trouble = await new Promise((resolve) => {
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIMsgOutgoingListener"]),
      onSendStart() {},
      onSendStop: (_, status, __, text) => resolve(status === Cr.NS_OK ? null : `status 0x${status.toString(16)} ${text}`),
    };
    server.sendMailMessage(file, recipients, [], identity, order.sender, order.password, null, false, "", listener);
  });
  if (trouble) throw new Error(trouble);
  return "";
}

const authorities = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
authorities.addCertFromBase64(order.ca, "CT,,");
(order.protocol === "smtp" ? sendMessage() : fetchMessage()).then(
  (message) => answer([message, null]),
  (trouble) => answer([null, `${trouble} ${trouble.stack}`]),
);
