//! The same shape, compiled: ten pipelined connections, each with a database connection of its own. A window of 50 is one
//! transaction: it closes the ledger rows before, claims the next messages, and opens a ledger row for each.
//! `rustc -O sender.rs -l pq`; arguments: connection words, relay port, connections.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

#[allow(non_snake_case)]
extern "C" {
    fn PQconnectdb(words: *const c_char) -> *mut c_void;
    fn PQstatus(connection: *const c_void) -> c_int;
    fn PQexec(connection: *mut c_void, query: *const c_char) -> *mut c_void;
    fn PQresultStatus(result: *const c_void) -> c_int;
    fn PQntuples(result: *const c_void) -> c_int;
    fn PQgetvalue(result: *const c_void, row: c_int, column: c_int) -> *const c_char;
    fn PQclear(result: *mut c_void);
    fn PQerrorMessage(connection: *const c_void) -> *const c_char;
}

const WINDOW: usize = 50;

struct Database(*mut c_void);

impl Database {
    fn open(words: &str) -> Database {
        let words = CString::new(words).unwrap();
        let connection = unsafe { PQconnectdb(words.as_ptr()) };
        assert_eq!(unsafe { PQstatus(connection) }, 0, "no database");
        Database(connection)
    }

    fn ask(&self, query: &str) -> Vec<[String; 3]> {
        let query = CString::new(query).unwrap();
        unsafe {
            let result = PQexec(self.0, query.as_ptr());
            let status = PQresultStatus(result);
            if status != 1 && status != 2 {
                panic!("{}", CStr::from_ptr(PQerrorMessage(self.0)).to_string_lossy());
            }
            let cell = |row, column| {
                CStr::from_ptr(PQgetvalue(result, row, column)).to_string_lossy().into_owned()
            };
            let rows = if status == 2 { PQntuples(result) } else { 0 };
            let found = (0..rows).map(|row| [cell(row, 0), cell(row, 1), cell(row, 2)]).collect();
            PQclear(result);
            found
        }
    }
}

struct Relay {
    write: TcpStream,
    read: BufReader<TcpStream>,
}

impl Relay {
    fn open(port: &str) -> Relay {
        let write = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        write.set_nodelay(true).unwrap();
        let read = BufReader::new(write.try_clone().unwrap());
        let mut relay = Relay { write, read };
        relay.reply("220");
        relay.write.write_all(b"EHLO clinic.example\r\n").unwrap();
        relay.reply("250");
        relay
    }

    fn reply(&mut self, wanted: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            self.read.read_line(&mut line).unwrap();
            assert!(line.starts_with(wanted), "{line} instead of {wanted}");
            if line.as_bytes()[3] == b' ' {
                return;
            }
        }
    }
}

fn envelope(address: &str) -> String {
    format!("MAIL FROM:<praxis@clinic.example>\r\nRCPT TO:<{address}>\r\nDATA\r\n")
}

fn text(address: &str, name: &str) -> String {
    let lines = "wir erwarten Sie zu Ihrem Termin.\r\n".repeat(24);
    let html = "<p>wir erwarten Sie zu Ihrem Termin.</p>\r\n".repeat(18);
    format!(
        "From: praxis@clinic.example\r\nTo: {address}\r\nSubject: Ihr Termin, {name}\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"=_b\"\r\n\r\n\
         --=_b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGuten Tag {name},\r\n\r\n{lines}\r\n\
         --=_b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Guten Tag {name},</p>{html}\r\n--=_b--\r\n.\r\n"
    )
}

fn work(words: &str, port: &str) {
    let database = Database::open(words);
    let mut relay = Relay::open(port);
    let mut sent: Vec<String> = Vec::new();
    loop {
        database.ask("BEGIN");
        if !sent.is_empty() {
            let ids = sent.join(",");
            database.ask(&format!(
                "UPDATE rival_ledger SET state = 'sent', closed_at = clock_timestamp() WHERE mail_id IN ({ids})"
            ));
            database.ask(&format!("UPDATE rival_mail SET status = 'sent' WHERE id IN ({ids})"));
        }
        let rows = database.ask(&format!(
            "WITH due AS MATERIALIZED (SELECT id FROM rival_mail WHERE status = 'queued' ORDER BY id LIMIT {WINDOW} \
             FOR UPDATE SKIP LOCKED) UPDATE rival_mail m SET status = 'sending' FROM due WHERE m.id = due.id \
             RETURNING m.id, m.address, m.name"
        ));
        if !rows.is_empty() {
            let values: Vec<String> = rows.iter().map(|row| format!("({}, 'open')", row[0])).collect();
            database.ask(&format!("INSERT INTO rival_ledger (mail_id, state) VALUES {}", values.join(",")));
        }
        database.ask("COMMIT");
        sent.clear();
        if rows.is_empty() {
            return;
        }
        // The end of one message and the envelope of the next go in one write.
        relay.write.write_all(envelope(&rows[0][1]).as_bytes()).unwrap();
        for (at, row) in rows.iter().enumerate() {
            relay.reply("250");
            relay.reply("250");
            relay.reply("354");
            let mut data = text(&row[1], &row[2]);
            if let Some(next) = rows.get(at + 1) {
                data.push_str(&envelope(&next[1]));
            }
            relay.write.write_all(data.as_bytes()).unwrap();
            relay.reply("250");
            sent.push(row[0].clone());
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let connections: usize = arguments[3].parse().unwrap();
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (words, port) = (arguments[1].clone(), arguments[2].clone());
            std::thread::spawn(move || work(&words, &port))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
