//! What the gate costs: a node's whole answer (validated, charged on disk, bounded patient by patient, noised, stored)
//! beside the same aggregate patient by patient in plain DataFusion over the same files, which protects nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use caim_engine::{Asker, Node, NodeId, NodeQuery, Policy};
use caim_ontology::Models;
use caim_sql::catalogue::Catalogue;
use caim_sql::lower::{Settings, lower};
use caim_sql::plan::plan;
use caim_sql::text::{self, Statement};
use caim_warehouse::{Epoch, TableName, Warehouse};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use tokio::runtime::Runtime;

use crate::rounds::{Rounds, median};
use crate::{Options, series};

/// What an analyst asks, and the same in plain SQL patient by patient, without bounds, noise and threshold.
struct Question {
    name: &'static str,
    asked: &'static str,
    plain: &'static str,
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "patients",
        asked: "SELECT count(DISTINCT PatientID) FROM dicom.series",
        plain: "SELECT count(DISTINCT _patient) FROM series",
    },
    Question {
        name: "patients by modality",
        asked: "SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality",
        plain: "SELECT modality, count(DISTINCT _patient) FROM series GROUP BY modality",
    },
    Question {
        name: "patients by modality, body part and manufacturer, of women since 2015",
        asked: "SELECT Modality, BodyPartExamined, Manufacturer, count(DISTINCT PatientID) FROM dicom.series \
                WHERE PatientSex = 'F' AND StudyDate >= DATE '2015-01-01' GROUP BY 1, 2, 3",
        plain: "SELECT modality, bodypartexamined, manufacturer, count(DISTINCT _patient) FROM series \
                WHERE patientsex = 'F' AND studydate >= DATE '2015-01-01' GROUP BY 1, 2, 3",
    },
    Question {
        name: "series by modality",
        asked: "SELECT Modality, count(*), count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality",
        plain: "SELECT modality, sum(n), count(*) FROM (SELECT modality, _patient, count(*) AS n FROM series \
                GROUP BY modality, _patient) GROUP BY modality",
    },
    Question {
        name: "mean slice thickness by manufacturer",
        asked: "SELECT Manufacturer, avg(SliceThickness) FROM dicom.series GROUP BY Manufacturer",
        plain: "SELECT manufacturer, sum(s) / sum(n), count(*) FROM (SELECT manufacturer, _patient, \
                sum(slicethickness) AS s, count(slicethickness) AS n FROM series GROUP BY manufacturer, _patient) \
                GROUP BY manufacturer",
    },
    Question {
        name: "patients with both CT and MR, by sex",
        asked: "SELECT PatientSex, count(DISTINCT PatientID) FROM dicom.series AS c WHERE Modality = 'CT' AND EXISTS \
                (SELECT 1 FROM dicom.series AS m WHERE m.PatientID = c.PatientID AND m.Modality = 'MR') GROUP BY 1",
        plain: "SELECT patientsex, count(DISTINCT _patient) FROM series AS c WHERE modality = 'CT' AND EXISTS \
                (SELECT 1 FROM series AS m WHERE m._patient = c._patient AND m.modality = 'MR') GROUP BY 1",
    },
];

/// Prints the table of all questions, the median of the ratios, and the worst.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let models = Arc::new(Models::bundled()?);
    let warehouse = Warehouse::create(folder.path())?;
    let epoch = series::commit(&warehouse, &models, options.patients, options.seed)?;
    let rows = epoch.rows(&TableName::new("dicom", "series"));
    println!(
        "{} patients, {rows} series, {} rounds, seed {}",
        epoch.patients(),
        options.rounds,
        options.seed
    );
    let policy = Policy {
        answer_grid_ms: 0,
        budget_rho: 1e6,
        budget_delta: 1.0,
        project_lifetime_rho: 1e6,
        node_budget_rho: 1e6,
        ..Policy::default()
    };
    let name = NodeId::new("bench").map_err(|e| anyhow!(e))?;
    let node = Node::open(name, warehouse, Arc::clone(&models), policy)?;
    let bench = Bench { node: Arc::new(node), models, runtime: Runtime::new()? };
    println!("{:>9} {:>9} {:>6} {:>13}  question", "gate ms", "plain ms", "ratio", "from - to");
    let mut ratios = Vec::new();
    for question in QUESTIONS {
        let rounds = bench.measure(question, &epoch, options.rounds)?;
        let ((ours, theirs), [ratio, least, greatest]) = (rounds.medians(), rounds.ratio());
        println!("{ours:>9.0} {theirs:>9.0} {ratio:>6.2} {least:>6.2}-{greatest:<6.2}  {}", question.name);
        ratios.push((ratio, question.name));
    }
    let worst = ratios.iter().max_by(|a, b| a.0.total_cmp(&b.0)).context("nothing was measured")?;
    println!("worst {:.2}: {}", worst.0, worst.1);
    println!("median {:.2}", median(ratios.iter().map(|(ratio, _)| *ratio).collect()));
    Ok(())
}

struct Bench {
    node: Arc<Node>,
    models: Arc<Models>,
    runtime: Runtime,
}

impl Bench {
    /// The first round only warms up.
    fn measure(&self, question: &Question, epoch: &Epoch, rounds: u32) -> Result<Rounds> {
        let mut measured = Rounds::default();
        for round in 0..=rounds {
            let theirs = self.plain(question, epoch)?;
            let ours = self.gated(question, round)?;
            if round > 0 {
                measured.add(ours, theirs);
            }
        }
        Ok(measured)
    }

    /// Another noise each round: the same question again would be answered from the store.
    fn gated(&self, question: &Question, round: u32) -> Result<Duration> {
        let settings = Settings { noise_sd_milli: Some(4_000 + round), ..Settings::default() };
        let catalogue = Catalogue::new(Arc::clone(&self.models), Vec::new());
        let Statement::Query(query) = text::read(question.asked)? else { bail!("no query") };
        let lowered = lower(&plan(&query, &catalogue)?, &catalogue, &settings)?;
        let query = lowered.queries.into_iter().next().context("nobody is asked")?;
        let asker = Asker { user: "bench".into(), project: "bench".into(), purpose: String::new() };
        let (models, query_id) = (self.models.version(), "bench".to_owned());
        let asked = NodeQuery { query, models, asker, query_id, deadline_ms: 600_000 };
        let started = Instant::now();
        let answer = self.runtime.block_on(self.node.answer(asked));
        answer.map_err(|e| anyhow!("{}: {e}", question.name))?;
        Ok(started.elapsed())
    }

    fn plain(&self, question: &Question, epoch: &Epoch) -> Result<Duration> {
        let table = TableName::new("dicom", "series");
        let paths = epoch.files(&table).iter().map(|file| epoch.path(file)).collect::<Result<Vec<_>, _>>()?;
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        self.runtime.block_on(async {
            let started = Instant::now();
            let context = SessionContext::new();
            let files = context.read_parquet(paths, ParquetReadOptions::default()).await?;
            context.register_table("series", files.into_view())?;
            context.sql(question.plain).await?.collect().await?;
            Ok(started.elapsed())
        })
    }
}
