//! Passwords from the file that PostgreSQL's own clients read: `~/.pgpass`, or the one that PGPASSFILE names.
//!
//! Lines `host:port:database:user:password`; `*` stands for anything, a backslash takes the next character as it is.

use std::env;
use std::fs;
use std::path::PathBuf;

/// Whose password is asked for.
pub(super) struct Place<'p> {
    pub(super) host: &'p str,
    pub(super) port: u16,
    pub(super) database: &'p str,
    pub(super) user: &'p str,
}

/// The password of the first line that fits. A file that others may read is not looked into.
pub(super) fn password(place: &Place<'_>) -> Option<String> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let path = env::var_os("PGPASSFILE").map(PathBuf::from).or_else(home)?;
    if !is_private(&fs::metadata(&path).ok()?) {
        tracing::warn!(path = %path.display(), "the password file is not used: others may read it (chmod 600)");
        return None;
    }
    find(&fs::read_to_string(path).ok()?, place)
}

#[cfg(unix)]
fn is_private(found: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(found) & 0o077 == 0
}

#[cfg(not(unix))]
fn is_private(_found: &fs::Metadata) -> bool {
    true
}

fn find(text: &str, place: &Place<'_>) -> Option<String> {
    let port = place.port.to_string();
    let wanted = [place.host, &port, place.database, place.user];
    text.lines().filter(|line| !line.starts_with('#')).map(fields).find_map(|mut fields| {
        let password = (fields.len() == 5).then(|| fields.pop()).flatten()?;
        let fits = fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then_some(password)
    })
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' if fields.len() < 5 => fields.push(String::new()),
            _ => {
                let taken = if character == '\\' { characters.next().unwrap_or('\\') } else { character };
                if let Some(field) = fields.last_mut() {
                    field.push(taken);
                }
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_gives_the_password() {
        let text = "# mine\nlocalhost:5432:omop:ann:a\\:b:c\n*:*:*:bob:x\n";
        let of = |user| find(text, &Place { host: "localhost", port: 5432, database: "omop", user });
        assert_eq!((of("ann").as_deref(), of("bob").as_deref(), of("eve")), (Some("a:b:c"), Some("x"), None));
    }
}
