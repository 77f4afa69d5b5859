//! A PostgreSQL server for one test.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fixture::skip;

const PASSWORD: &str = "canary-0";
const USER: &str = "caim";

/// A running server, which ends with its owner.
pub(super) struct Server {
    bin: PathBuf,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server; `None`, with a counted reason, where none is installed.
    pub(super) fn start() -> Option<Self> {
        let Some(bin) = installed() else {
            skip("PostgreSQL is not installed (Debian's package postgresql)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let secret = folder.path().join("password");
        fs::write(&secret, PASSWORD).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        let data = folder.path().join("data");
        let made = ordinary(&bin.join("initdb"))
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-U", USER])
            .arg(format!("--pwfile={}", secret.display()))
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let settings = format!("-c listen_addresses= -c fsync=off -k {}", folder.path().display());
        let server = Self { bin, folder };
        let started = server.control(&["start", "-w", "-s", "-o", &settings, "-l"]).arg("/dev/null").status();
        assert!(started.unwrap().success(), "the server did not start");
        Some(server)
    }

    /// The address of a schema, with the owner's password.
    pub(super) fn url(&self, schema: &str) -> PathBuf {
        self.url_of(USER, PASSWORD, schema)
    }

    /// The address of a schema for a user.
    pub(super) fn url_of(&self, user: &str, password: &str, schema: &str) -> PathBuf {
        let socket = self.folder.path().display();
        format!("postgres://{user}:{password}@/postgres?host={socket}&schema={schema}").into()
    }

    /// Runs statements.
    pub(super) fn run(&self, sql: &str) {
        // Not `-c`: several statements there are one transaction, in which VACUUM cannot run.
        let mut psql = self.psql().stdin(Stdio::piped()).spawn().unwrap();
        psql.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success(), "psql failed");
    }

    /// Writes what statements print to a file.
    pub(super) fn export(&self, sql: &str, path: &Path) {
        let file = File::create(path).unwrap();
        assert!(self.psql().arg("-c").arg(sql).stdout(file).status().unwrap().success(), "psql failed");
    }

    /// The program that starts and stops the server, and waits until it has.
    fn control(&self, words: &[&str]) -> Command {
        let mut control = ordinary(&self.bin.join("pg_ctl"));
        control.arg("-D").arg(self.folder.path().join("data")).args(words);
        control
    }

    fn psql(&self) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", "postgres", "-h"])
            .arg(self.folder.path());
        psql.env("PGPASSWORD", PASSWORD);
        psql
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its folder is removed in any case.
        let _ = self.control(&["stop", "-s", "-m", "immediate"]).status();
    }
}

/// The folder of the newest server's programs.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    bins.filter(|bin| bin.join("initdb").exists()).max()
}

/// A program that does not run as root: the server refuses to.
fn ordinary(program: &Path) -> Command {
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program).current_dir("/tmp");
        return command;
    }
    Command::new(program)
}
