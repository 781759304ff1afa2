import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Properties;
import javax.mail.Address;
import javax.mail.Folder;
import javax.mail.Session;
import javax.mail.Store;
import javax.mail.Transport;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeMessage;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/** JavaMail: Mail PROTOCOL TLS HOST PORT CA LOGIN SENDER RECIPIENT, with the password in the environment. */
public final class Mail {
    public static void main(String[] args) throws Exception {
        boolean implicit = args[1].equals("implicit");
        String protocol = args[0] + (implicit ? "s" : "");
        String host = args[2];
        int port = Integer.parseInt(args[3]);
        String password = System.getenv("PASSWORD");
        Session session = Session.getInstance(properties(protocol, args[1], trust(args[4])));
        if (args[0].equals("smtp")) {
            MimeMessage message = new MimeMessage(session, System.in);
            try (Transport transport = session.getTransport(protocol)) {
                transport.connect(host, port, args[5], password);
                transport.sendMessage(message, new Address[] {new InternetAddress(args[7])});
            }
            return;
        }
        try (Store store = session.getStore(protocol)) {
            store.connect(host, port, args[5], password);
            Folder inbox = store.getFolder("INBOX");
            inbox.open(Folder.READ_ONLY);
            inbox.getMessage(1).writeTo(System.out);
            System.out.flush();
        }
    }

    private static Properties properties(String protocol, String tls, SSLSocketFactory trust) {
        Properties properties = new Properties();
        String prefix = "mail." + protocol + ".";
        properties.put(prefix + "ssl.socketFactory", trust);
        properties.put(prefix + "ssl.checkserveridentity", "true");
        if (tls.equals("starttls")) {
            properties.put(prefix + "starttls.enable", "true");
            properties.put(prefix + "starttls.required", "true");
        }
        properties.put(prefix + "auth", "true");
        properties.put(prefix + "timeout", "60000");
        return properties;
    }

    private static SSLSocketFactory trust(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream pem = new FileInputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context.getSocketFactory();
    }
}
