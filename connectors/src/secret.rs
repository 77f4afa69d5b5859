//! The node's secret: 32 random bytes that make pseudonyms unguessable. It never leaves the node.
//!
//! Everything keyed is derived from it by HMAC-SHA-256 under a name of its own, so that no key serves two ends.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tempfile::NamedTempFile;

use crate::{Code, Error, Result};

/// The secret of a node.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: [u8; 32],
}

impl Secret {
    /// Reads the secret file, or makes it (mode 0600, synced to disk) when there is none.
    ///
    /// # Errors
    /// When others than its owner can read the file, when it is not 64 hex digits, or when the disk fails.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        match File::open(path) {
            Ok(file) => Self::load(path, file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(e) => Err(refused(path, e)),
        }
    }

    /// A secret from 32 bytes, for tests and generators.
    #[must_use]
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// A short name of the secret, to tell two secrets apart. It does not give the secret away.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(self.mac("caim.secret-id.1", &[]).get(..8).unwrap_or_default())
    }

    /// HMAC-SHA-256 over a domain and fields. Every part is preceded by its length: no two lists of fields
    /// give the same bytes.
    #[must_use]
    pub(crate) fn mac(&self, domain: &str, fields: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length, so the branch without a key cannot be reached.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return [0; 32] };
        for field in std::iter::once(domain.as_bytes()).chain(fields.iter().copied()) {
            mac.update(&(field.len() as u64).to_le_bytes());
            mac.update(field);
        }
        mac.finalize().into_bytes().into()
    }

    fn load(path: &Path, file: File) -> Result<Self> {
        let mode = file.metadata().map_err(|e| refused(path, e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(refused(path, format!("its mode is {:03o}: others can read it", mode & 0o777)));
        }
        let mut text = String::new();
        file.take(256).read_to_string(&mut text).map_err(|e| refused(path, e))?;
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key).map_err(|_| {
            refused(path, format!("it holds {} bytes that are not 64 hex digits", text.len()))
        })?;
        Ok(Self { key })
    }

    /// Writes under another name and links it into place: a crash leaves no half secret, and of two
    /// processes that start at once, one makes the secret and the other reads it.
    fn create(path: &Path) -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| refused(path, e))?;
        let made = write_synced(folder_of(path), &hex::encode(key)).map_err(|e| refused(path, e))?;
        match made.persist_noclobber(path) {
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return Self::load_or_create(path),
            other => other.map_err(|e| refused(path, e.error))?,
        };
        File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(|e| refused(path, e))?;
        Ok(Self { key })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(<redacted>, id {})", self.id())
    }
}

/// A file of mode 0600, which is how temporary files are made.
fn write_synced(folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(folder)?;
    writeln!(file, "{text}")?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refused(path: &Path, reason: impl fmt::Display) -> Error {
    Error::new(Code::Secret, path.display(), reason)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_read_back_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = Secret::load_or_create(&path).unwrap();
        assert_eq!(Secret::load_or_create(&path).unwrap(), made);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        Secret::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Secret::load_or_create(&path).unwrap_err().code(), Code::Secret);
    }

    #[test]
    fn a_cut_secret_is_refused_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        Secret::load_or_create(&path).unwrap();
        fs::write(&path, "abcd").unwrap();
        assert_eq!(Secret::load_or_create(&path).unwrap_err().code(), Code::Secret);
        assert_eq!(fs::read(&path).unwrap(), b"abcd");
    }

    #[test]
    fn no_two_lists_of_fields_have_the_same_code() {
        let secret = Secret::from_bytes([1; 32]);
        let codes = [
            secret.mac("a", &[b"bc"]),
            secret.mac("a", &[b"b", b"c"]),
            secret.mac("ab", &[b"c"]),
            secret.mac("a", &[b"bc", b""]),
            Secret::from_bytes([2; 32]).mac("a", &[b"bc"]),
        ];
        for (i, code) in codes.iter().enumerate() {
            assert!(!codes[..i].contains(code), "{i}");
        }
    }

    #[test]
    fn debug_and_id_do_not_show_the_secret() {
        let shown = format!("{:?}", Secret::from_bytes([0xab; 32]));
        assert!(shown.contains("redacted") && !shown.contains("abab"));
    }
}
