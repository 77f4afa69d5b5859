//! The sequences whose answers are released: every one spends its budget.

use super::game::Game;
use crate::lab::Lab;
use crate::site::Ask;
use crate::world::Victim;

/// Plays them all.
pub(crate) fn run(lab: &Lab) {
    for game in games(lab.noise(), lab.so_many(60, 820)) {
        game.play(lab);
    }
}

const MR: &str = "FROM patient WHERE modality_any = 'MR'";
const HER: &str = "(birth_year = 1931 AND sex = 'female')";

/// More statements than any budget pays for at a noise, alternating between some, over cohorts that all differ: `{}`
/// stands for a condition that everybody meets.
fn sweep(statements: &[&str], noise: u32) -> Vec<Ask> {
    let ask = |(number, statement): (usize, &&str)| {
        let (from, to) = (1901 + number % 25, 2019 - number / 25);
        let everybody = format!("birth_year BETWEEN {from} AND {to}");
        Ask::new(&statement.replace("{}", &everybody)).noise(noise)
    };
    statements.iter().cycle().take(enough(noise)).enumerate().map(ask).collect()
}

/// The same statements again and again; each time another noise makes another question of them.
fn again(statements: &[&str], noise: u32) -> Vec<Ask> {
    let ask = |(number, statement): (usize, &&str)| Ask::new(statement).noise(noise + number as u32);
    statements.iter().cycle().take(enough(noise)).enumerate().map(ask).collect()
}

/// More than a budget of 1 pays for.
fn enough(noise: u32) -> usize {
    2 * (noise as usize / 1000).pow(2) + 4
}

fn game(id: &'static str, name: &'static str, victim: Victim, asks: Vec<Ask>) -> Game {
    Game { id, name, victim, projects: 1, asks, releases: 0, published_by: "modality_any" }
}

fn games(noise: u32, edge_questions: usize) -> Vec<Game> {
    let mut games = differencing(noise);
    games.extend(margins(noise));
    games.extend(numbers(noise));
    games.extend(edges(noise, edge_questions));
    games.extend(rows(noise));
    games.extend(draws(noise));
    games
}

fn differencing(noise: u32) -> Vec<Game> {
    let plain = |id, name, statements: &[String]| {
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        game(id, name, Victim::Plain, sweep(&statements, noise))
    };
    let both = |select: &str| {
        [format!("SELECT {select} {MR} AND {{}}"), format!("SELECT {select} {MR} AND NOT {HER} AND {{}}")]
    };
    let trackers = ["smoker", "zip3 = '100'", "weight_kg >= 100", "tumour_mm < 50", "topography = 'C34'"];
    let tracked: Vec<String> = trackers
        .iter()
        .flat_map(|t| {
            [
                format!("SELECT count(*) {MR} AND {{}}"),
                format!("SELECT count(*) {MR} AND {t} AND {{}}"),
                format!("SELECT count(*) {MR} AND NOT ({t}) AND NOT {HER} AND {{}}"),
            ]
        })
        .collect();
    let general = [
        format!("SELECT count(*) FROM patient WHERE ({HER} OR smoker) AND {{}}"),
        format!("SELECT count(*) FROM patient WHERE ({HER} OR NOT smoker) AND {{}}"),
        "SELECT count(*) FROM patient WHERE {}".to_owned(),
    ];
    let few = [
        "SELECT count(*) FROM patient WHERE {}".to_owned(),
        "SELECT count(*) FROM patient WHERE NOT birth_year = 1931 AND {}".to_owned(),
    ];
    vec![
        plain("A025", "differencing of counts", &both("count(DISTINCT patient_id)")),
        plain("A025", "the larger cohort alone", &both("count(DISTINCT patient_id)")[..1]),
        plain("A026", "differencing of sums", &both("sum(tumour_mm)")),
        plain("A027", "differencing of means", &both("avg(weight_kg), count(*)")),
        plain(
            "A028",
            "both cohorts in one statement",
            &[format!(
                "SELECT count(DISTINCT patient_id), count(DISTINCT patient_id) FILTER (WHERE NOT {HER}) {MR} AND {{}}"
            )],
        ),
        plain(
            "A029",
            "her as a conditional sum",
            &[format!("SELECT sum(CASE WHEN {HER} THEN 1 ELSE 0 END), count(*) FROM patient WHERE {{}}")],
        ),
        plain("A032", "five trackers", &tracked),
        plain("A033", "all, and all but four", &few),
        plain("A034", "general tracker", &general),
        Game { releases: 2, ..game("A110", "a published figure in two windows", Victim::Plain, Vec::new()) },
        Game {
            releases: 1,
            ..plain("A117", "a cube, and counts without her", &both("count(DISTINCT patient_id)")[1..])
        },
        plain("A105", "many cohorts with her", &[format!("SELECT count(*) {MR} AND {{}}")]),
        Game {
            projects: 2,
            ..game("A116", "two colluding projects", Victim::Plain, {
                let statement = format!("SELECT count(*) {MR} AND {{}}");
                [sweep(&[&statement], noise), sweep(&[&statement.replace("count", "/**/count")], noise)]
                    .concat()
                    .into_iter()
                    .enumerate()
                    .map(|(n, ask)| ask.noise(noise + n as u32))
                    .collect()
            })
        },
    ]
}

fn margins(noise: u32) -> Vec<Game> {
    let man = |id, name, statements: &[&str]| game(id, name, Victim::Man, again(statements, noise));
    vec![
        man(
            "A042",
            "ROLLUP with a small cell",
            &["SELECT sex, count(*) FROM patient WHERE topography = 'C50' GROUP BY ROLLUP(sex)"],
        ),
        man(
            "A043",
            "groups, then the total",
            &[
                "SELECT sex, count(*) FROM patient WHERE topography = 'C50' GROUP BY sex",
                "SELECT count(*) FROM patient WHERE topography = 'C50'",
            ],
        ),
        man("A044", "CUBE", &["SELECT sex, age_band, count(*) FROM patient GROUP BY CUBE(sex, age_band)"]),
        game(
            "A045",
            "collections, then the total",
            Victim::Plain,
            again(
                &[
                    "SELECT collection, count(DISTINCT patient_id) FROM imaging_study GROUP BY collection",
                    "SELECT count(DISTINCT patient_id) FROM imaging_study",
                ],
                noise,
            ),
        ),
        game(
            "A099",
            "a group of whom all smoke",
            Victim::Smoker,
            again(
                &[
                    "SELECT smoker, count(*) FROM patient WHERE birth_year = 2001 AND sex = 'male' GROUP BY smoker",
                ],
                noise,
            ),
        ),
    ]
}

fn numbers(noise: u32) -> Vec<Game> {
    let percentiles: Vec<String> = (1..100)
        .map(|q| {
            format!(
                "SELECT approx_percentile_cont(weight_kg, 0.{q:02}) FROM patient WHERE modality_any = 'MR'"
            )
        })
        .collect();
    let percentiles: Vec<&str> = percentiles.iter().map(String::as_str).collect();
    let below: Vec<String> =
        (0..60).map(|i| format!("SELECT count(*) {MR} AND weight_kg < {}", 75 + 5 * i % 225)).collect();
    let below: Vec<&str> = below.iter().map(String::as_str).collect();
    vec![
        game(
            "A070",
            "an extreme percentile",
            Victim::Plain,
            again(
                &["SELECT approx_percentile_cont(weight_kg, 0.9999) FROM patient WHERE sex = 'female'"],
                noise,
            ),
        ),
        game("A071", "many percentiles", Victim::Plain, again(&percentiles, noise)),
        game(
            "A072",
            "one patient has nearly all of a sum",
            Victim::Dose,
            again(&["SELECT sum(dose_mgy) FROM imaging_study WHERE modality = 'RF'"], noise),
        ),
        game(
            "A073",
            "deviation and variance",
            Victim::Plain,
            again(
                &["SELECT stddev(weight_kg), var_pop(weight_kg) FROM patient WHERE modality_any = 'MR'"],
                noise,
            ),
        ),
        game("A084", "a range probed step by step", Victim::First, again(&below, noise)),
        game(
            "A104",
            "a value beyond the public bounds",
            Victim::Tall,
            again(&["SELECT sum(tumour_mm) FROM patient WHERE zip3 = '200'"], noise),
        ),
        game(
            "A098",
            "a value that is no number",
            Victim::Tall,
            again(&["SELECT avg(weight_kg), count(*) FROM patient WHERE zip3 = '200'"], noise),
        ),
        game(
            "A125",
            "a lone sum",
            Victim::Plain,
            again(&["SELECT sum(tumour_mm) FROM patient WHERE modality_any = 'MR'"], noise),
        ),
    ]
}

fn edges(noise: u32, questions: usize) -> Vec<Game> {
    let tenth = "SELECT count(*) FROM patient WHERE zip3 = '999' AND {}";
    let mut many = sweep(&[tenth], 20_000);
    many.truncate(questions);
    let filters: Vec<String> =
        (0..16).map(|i| format!("count(*) FILTER (WHERE dose_mgy < {}) AS m{i}", 5 + i)).collect();
    let cells = format!(
        "SELECT modality, {} FROM imaging_study WHERE collection = 'edge' GROUP BY modality",
        filters.join(", ")
    );
    vec![
        game("A100", "the tenth of ten", Victim::Edge, sweep(&[tenth], noise)),
        game(
            "A101",
            "a percentile of a cohort near the threshold",
            Victim::Near,
            again(&["SELECT approx_percentile_cont(weight_kg, 0.5) FROM patient WHERE zip3 = '022'"], noise),
        ),
        game(
            "A101",
            "a mean of a cohort near the threshold",
            Victim::Near,
            again(&["SELECT avg(weight_kg), count(*) FROM patient WHERE zip3 = '022'"], noise),
        ),
        Game {
            releases: 4,
            published_by: "zip3",
            ..game("A107", "a text that ten people share, over four epochs", Victim::Edge, Vec::new())
        },
        game("A123", "many cheap questions at the edge", Victim::Edge, many),
        game("A124", "edge cells in sixteen measures", Victim::Edge, again(&[&cells], 4_000)),
    ]
}

fn rows(noise: u32) -> Vec<Game> {
    vec![
        game(
            "A102",
            "a slice of two series",
            Victim::Slice,
            again(
                &[
                    "SELECT count(*) FROM imaging_series WHERE modality = 'MR'",
                    "SELECT count(*) FROM imaging_series WHERE modality = 'MR' AND NOT body_part = 'SLICE'",
                ],
                noise,
            ),
        ),
        game(
            "A103",
            "5,000 series in a cohort of 40",
            Victim::Heavy,
            again(&["SELECT count(*) FROM imaging_series WHERE body_part = 'LEG'"], noise),
        ),
        game(
            "A130",
            "the full cap of rows in many cells",
            Victim::Full,
            again(
                &["SELECT body_part, count(*), count(DISTINCT patient_id) FROM imaging_series \
                   WHERE body_part IN ('F0', 'F1', 'F2', 'F3') GROUP BY body_part"],
                noise,
            ),
        ),
        game(
            "A131",
            "the first who was ingested",
            Victim::First,
            again(
                &[
                    "SELECT body_part, count(*), count(DISTINCT patient_id) FROM imaging_series GROUP BY body_part",
                    "SELECT modality, sum(dose_mgy) FROM imaging_study GROUP BY modality",
                    "SELECT count(*), avg(weight_kg) FROM patient WHERE modality_any = 'MR'",
                ],
                noise,
            ),
        ),
    ]
}

fn draws(noise: u32) -> Vec<Game> {
    let count = format!("SELECT count(*) {MR}");
    let caps = |n: u32| {
        Ask::new("SELECT count(*) FROM imaging_series WHERE body_part = 'LEG'").rows(5 + n).noise(noise)
    };
    let noises = |n: u32| Ask::new(&count).noise(if n.is_multiple_of(2) { noise + n } else { 20_000 - n });
    vec![
        game("A127", "the same text at two noises", Victim::Plain, (0..80).map(noises).collect()),
        game("A128", "the same text under other caps", Victim::Heavy, (0..34).map(caps).collect()),
        game("A038", "rephrasings that are charged", Victim::Plain, again(&[&count], noise)),
        game(
            "A039",
            "row counts of one cohort through joins",
            Victim::Plain,
            again(
                &[
                    "SELECT count(*) FROM patient p JOIN imaging_study s USING (patient_id) WHERE p.modality_any = 'MR'",
                    "SELECT count(*) FROM imaging_study s WHERE EXISTS (SELECT 1 FROM patient p \
                     WHERE p.patient_id = s.patient_id AND p.modality_any = 'MR')",
                ],
                noise,
            ),
        ),
    ]
}
