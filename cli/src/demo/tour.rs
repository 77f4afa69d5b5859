//! What `caim demo` prints: hospitals, questions with their answers, a refusal, and where to connect.
//!
//! It fits 100 columns. Questions go the way of any analyst's: through the Flight SQL door.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use caim_connectors::Quiet;

use super::cluster::{Cluster, ClusterOptions, Ports};
use super::cookbook::{Recipe, recipes};
use super::federation::{self, PASSWORD, PROJECT, Ready, Taken, USER};
use super::hospital::Kind;
use super::person::Plan;
use super::population::Population;
use crate::commands::asking::{Asking, Whom};
use crate::exit::{self, Exit};
use crate::output::{Alignment, Table, grouped};

/// Width of the rules between parts.
const WIDTH: usize = 100;

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub struct Tour {
    /// Which hospitals.
    pub plan: Plan,
    /// Whether it goes on until it is told to stop.
    pub stay: Stay,
}

/// What happens after the questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// The demo ends; its ports are any free ones.
    Once,
    /// It serves on the documented ports.
    UntilStopped,
}

/// Runs the demo in a folder. With [`Stay::UntilStopped`] it ends by being dropped.
///
/// # Errors
/// When files cannot be written, a port is taken, or a question is not answered as it should be.
pub async fn run(tour: Tour, dir: &Path, out: &mut (dyn Write + Send)) -> Result<()> {
    writeln!(out, "Caim demo: three hospitals, their nodes and a hub in one process. Nobody in it exists.")?;
    writeln!(out, "Folder {}\n", dir.display())?;
    let ports = match tour.stay {
        Stay::Once => Ports::Ephemeral,
        Stay::UntilStopped => Ports::Configured,
    };
    // The hub first: a port that is taken is told at once, not after the hospitals.
    let options = ClusterOptions { hub: federation::hub(dir)?, nodes: Vec::new(), ports };
    let mut cluster = Cluster::start(&options).await.context("stop the other demo or hub first")?;
    for ready in hospitals(tour.plan, dir, out).await? {
        cluster.start_node(&ready.dir)?;
    }
    cluster.wait_until_linked().await?;
    writeln!(out, "\nLinked to the hub at {}: {}", cluster.links(), cluster.linked().join(", "))?;
    questions(&cluster, out).await?;
    connect(&cluster, tour.stay, out)?;
    match tour.stay {
        Stay::Once => cluster.stop().await,
        Stay::UntilStopped => std::future::pending().await,
    }
}

/// Generates and takes in one hospital after the other, a line each.
async fn hospitals(plan: Plan, dir: &Path, out: &mut (dyn Write + Send)) -> Result<Vec<Ready>> {
    let population = Arc::new(Population::bundled()?);
    let mut all = Vec::new();
    for (position, hospital) in population.hospitals().iter().enumerate() {
        let began = Instant::now();
        let people = grouped(&plan.patients.to_string());
        write!(out, "  {:<7}{:<25}{people:>6} patients", hospital.name, hospital.title)?;
        out.flush()?;
        let (population, dir) = (Arc::clone(&population), dir.to_owned());
        let made = move || federation::hospital(&population, plan, position, &dir, &Quiet);
        let ready = tokio::task::spawn_blocking(made).await.context("a hospital could not be made")??;
        writeln!(out, "{}", taken_in(&ready, began.elapsed()))?;
        all.push(ready);
    }
    Ok(all)
}

/// Source by source what came in, then how long it all took.
fn taken_in(ready: &Ready, took: Duration) -> String {
    if ready.taken.iter().all(|taken| taken.report.unchanged) {
        let epoch = ready.taken.iter().map(|taken| taken.report.epoch).max().unwrap_or_default();
        return format!("  as before, epoch {epoch}");
    }
    let came: Vec<String> = ready.taken.iter().map(came_in).collect();
    format!("  {:<42}{:>5.1} s", came.join(", "), took.as_secs_f64())
}

/// Of images the files count, or the series of a table; of records all rows.
fn came_in(taken: &Taken) -> String {
    let of = |name: &str| {
        taken.report.tables.iter().filter(|table| table.name == name).map(|table| table.kept).sum::<u64>()
    };
    let (count, what) = match taken.source.kind {
        Kind::DicomFiles => (of("dicom.instance"), "DICOM files"),
        Kind::DicomTable => (of("dicom.series"), "DICOM series"),
        Kind::Omop => (taken.report.kept(), "OMOP rows"),
        Kind::FhirLines | Kind::FhirBundles => (taken.report.kept(), "FHIR rows"),
    };
    format!("{} {what}", grouped(&count.to_string()))
}

async fn questions(cluster: &Cluster, out: &mut (dyn Write + Send)) -> Result<()> {
    let mut asking = Asking::open(&analyst(cluster)).await?;
    let recipes = recipes();
    for (number, recipe) in (1..).zip(&recipes) {
        announce(number, recipe, out)?;
        let is_last = number == recipes.len();
        match asking.ask(&recipe.sql).await {
            Ok(answer) if !is_last => {
                indented(&Table::of_batches(&answer.schema, &answer.batches)?.to_string(), out)?;
                let rows: usize = answer.batches.iter().map(|batch| batch.num_rows()).sum();
                writeln!(
                    out,
                    "{}",
                    if rows == 0 { "    no group has enough patients to be released\n" } else { "" }
                )?;
                indented(&answer.summary.to_string(), out)?;
            }
            Ok(_) => anyhow::bail!("rows of patients were released: do not use this build"),
            Err(error) if is_last && exit::code(&error) == Exit::Privacy => {
                indented(&format!("{error:#}"), out)?
            }
            Err(error) => return Err(error.context(recipe.asks.clone())),
        }
    }
    Ok(())
}

fn announce(number: usize, recipe: &Recipe, out: &mut dyn Write) -> Result<()> {
    let title = format!("── {number} ");
    writeln!(out, "\n{title}{}", "─".repeat(WIDTH - title.chars().count()))?;
    writeln!(out, "{}\n", recipe.asks)?;
    indented(&recipe.sql, out)?;
    Ok(writeln!(out)?)
}

fn indented(text: &str, out: &mut dyn Write) -> Result<()> {
    for line in text.lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn analyst(cluster: &Cluster) -> Whom {
    Whom {
        hub: cluster.flight_url(),
        node: None,
        user: Some(USER.to_owned()),
        password: Some(PASSWORD.to_owned()),
        project: Some(PROJECT.to_owned()),
    }
}

/// Where to go on.
fn connect(cluster: &Cluster, stay: Stay, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "\n{}", "─".repeat(WIDTH))?;
    if stay == Stay::Once {
        return Ok(writeln!(out, "Done. Without --once the demo stays, and you can connect to it.")?);
    }
    let url = cluster.flight_url();
    let mut table = Table::new(&[("Connect", Alignment::Left), ("", Alignment::Left)]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("Flight SQL", format!("{url}   user {USER}, password {PASSWORD}, project {PROJECT}"));
    row("command line", format!("caim sql --user {USER} --password {PASSWORD}"));
    row("Python", "pip install adbc-driver-flightsql pyarrow pandas".to_owned());
    write!(out, "{table}")?;
    writeln!(out, "\n{}", python(&url))?;
    Ok(writeln!(out, "Ctrl-C ends the demo.")?)
}

fn python(url: &str) -> String {
    format!(
        r#"    import adbc_driver_flightsql.dbapi as flightsql

    hub = flightsql.connect("{url}",
                            db_kwargs={{"username": "{USER}", "password": "{PASSWORD}"}})
    with hub.cursor() as cursor:
        cursor.execute("""SELECT Modality, count(DISTINCT PatientID) AS patients
                          FROM dicom.series GROUP BY Modality""")
        print(cursor.fetch_arrow_table().to_pandas())
"#
    )
}
