//! Where a database is and who asks: a URL, completed as PostgreSQL's own clients do it.

use std::env;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::{Client, Config, NoTls};

use super::passfile;
use crate::{Code, Error, Result};

/// How long a server may take to answer a first call.
const CONNECT: Duration = Duration::from_secs(10);
const PORT: u16 = 5432;
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The address of a database. It has no `Debug`: the configuration holds a password.
pub(super) struct Address {
    config: Config,
    /// The schema of the CDM's tables.
    pub(super) schema: String,
    /// Host, port, database and schema: what names the source. No user and no password.
    pub(super) name: String,
}

impl Address {
    /// Whether a text is meant as the address of a database.
    pub(super) fn is_one(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }

    /// Reads a URL. Its parameter `schema` is the schema of the tables, by default `public`.
    ///
    /// # Errors
    /// When it is no such URL, or leads beyond this machine: the connection is not encrypted.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (url, schema) = take_schema(text);
        let mut config = Config::from_str(&url).map_err(|e| fault("its address", cause(&e)))?;
        let user = config.get_user().map(str::to_owned).or_else(|| env::var("PGUSER").ok());
        let user = user.or_else(|| env::var("USER").ok()).unwrap_or_else(|| "postgres".to_owned());
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        if config.get_hosts().is_empty() {
            config.host("localhost");
        }
        let host = host(&config)?;
        let port = config.get_ports().first().copied().unwrap_or(PORT);
        if config.get_password().is_none() {
            let place = passfile::Place { host: &host, port, database: &database, user: &user };
            if let Some(password) = env::var("PGPASSWORD").ok().or_else(|| passfile::password(&place)) {
                config.password(password);
            }
        }
        config.user(&user).dbname(&database).ssl_mode(SslMode::Disable);
        config.connect_timeout(CONNECT).application_name("caim");
        let name = format!("postgres://{host}:{port}/{database}?schema={schema}");
        Ok(Self { config, schema, name })
    }

    /// Opens a connection.
    pub(super) fn connect(&self) -> Result<Client> {
        self.config.connect(NoTls).map_err(|e| self.fault(cause(&e)))
    }

    /// A failure of the database as a whole.
    pub(super) fn fault(&self, reason: impl std::fmt::Display) -> Error {
        fault(&self.name, reason)
    }
}

fn fault(place: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::Database, place, reason)
}

/// Classes of SQLSTATE whose messages speak of connections, rights, names and resources, never of values (PostgreSQL
/// documentation, appendix A).
const NO_VALUES: [&str; 12] = ["08", "0A", "25", "28", "3D", "3F", "42", "53", "54", "55", "57", "58"];

/// What went wrong, without what may quote a row: the details of the server, and messages about values.
pub(super) fn cause(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) if NO_VALUES.iter().any(|class| db.code().code().starts_with(class)) => {
            format!("{} ({})", db.message(), db.code().code())
        }
        Some(db) => format!("it failed over what it holds (SQLSTATE {})", db.code().code()),
        None => {
            let source = std::error::Error::source(error).map(|source| format!(": {source}"));
            format!("{error}{}", source.filter(|s| !error.to_string().contains(s)).unwrap_or_default())
        }
    }
}

/// The one host, which must be this machine.
fn host(config: &Config) -> Result<String> {
    match config.get_hosts() {
        [Host::Unix(path)] => Ok(path.display().to_string()),
        [Host::Tcp(name)] if is_loopback(name) => Ok(name.clone()),
        [Host::Tcp(name)] => Err(fault(name, "it is another machine, and the connection would not be encrypted")
            .with_fix("run Caim where the database is, or lead a port of 127.0.0.1 to it: `ssh -L 5432:localhost:5432 HOST`")),
        _ => Err(fault("its address", "it names several hosts")),
    }
}

fn is_loopback(name: &str) -> bool {
    name == "localhost"
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || Path::new(name).is_absolute()
}

/// The URL without its parameter `schema`, and that.
fn take_schema(text: &str) -> (String, String) {
    let Some((base, parameters)) = text.split_once('?') else {
        return (text.to_owned(), "public".to_owned());
    };
    let mut schema = "public".to_owned();
    let mut others = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.strip_prefix("schema=") {
            Some(named) => named.clone_into(&mut schema),
            None => others.push(parameter),
        }
    }
    let others = others.join("&");
    (if others.is_empty() { base.to_owned() } else { format!("{base}?{others}") }, schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_host_database_and_schema_and_neither_user_nor_password() {
        let address = Address::parse("postgres://ann:s3cret@127.0.0.1:5433/omop?schema=cdm").unwrap();
        assert_eq!(address.name, "postgres://127.0.0.1:5433/omop?schema=cdm");
        assert_eq!(address.config.get_password(), Some(b"s3cret".as_slice()));
        let socket = Address::parse("postgresql://ann@/omop?host=/run/pg&schema=cdm").unwrap();
        assert_eq!(
            (socket.name.as_str(), socket.schema.as_str()),
            ("postgres:///run/pg:5432/omop?schema=cdm", "cdm")
        );
    }

    #[test]
    fn another_machine_and_unknown_parameters_are_refused_without_the_password() {
        for url in
            ["postgres://ann:s3cret@db.example/omop", "postgres://ann:s3cret@localhost/omop?sschema=cdm"]
        {
            let error = Address::parse(url).err().unwrap();
            assert_eq!(error.code(), Code::Database);
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
