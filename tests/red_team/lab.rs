//! Where the cases run: the twins at their nodes, how much is tried, and the report.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use caim_engine::Policy;
use caim_engine::rehearsal::Rehearsal;
use caim_sql::PrivateQuery;

use crate::report::Report;
use crate::site::{self, Site};
use crate::world::{Victim, World};

/// The sites and settings of one run.
pub(crate) struct Lab {
    /// All that is promised, or the short form of every build.
    pub(crate) full: bool,
    pub(crate) seed: u64,
    pub(crate) world: World,
    pub(crate) report: Report,
    sites: RefCell<BTreeMap<Who, Rc<Site>>>,
}

/// Who is in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Everybody,
    AllBut(Victim),
    AndHeavy,
}

impl Lab {
    pub(crate) fn new(full: bool, seed: u64) -> Self {
        let world = World::generate(seed);
        Self { full, seed, world, report: Report::default(), sites: RefCell::default() }
    }

    /// The short number in the short form, the full one in the full form.
    pub(crate) fn so_many<T>(&self, short: T, full: T) -> T {
        if self.full { full } else { short }
    }

    /// The noise of games whose statements do not choose one, in thousandths. The budget is spent either way; the
    /// short form spends it by fewer and more precise answers.
    pub(crate) fn noise(&self) -> u32 {
        self.so_many(2_000, 4_000)
    }

    /// A node over a world, made when first asked for. Games are projects of their own.
    pub(crate) fn site(&self, who: Who) -> Rc<Site> {
        if let Some(site) = self.sites.borrow().get(&who) {
            return Rc::clone(site);
        }
        let site = Rc::new(Site::new(&self.people(who), site::policy()));
        self.sites.borrow_mut().insert(who, Rc::clone(&site));
        site
    }

    /// A world.
    pub(crate) fn people(&self, who: Who) -> World {
        match who {
            Who::Everybody => self.world.clone(),
            Who::AllBut(victim) => self.world.without(victim),
            Who::AndHeavy => self.world.with_heavy(),
        }
    }

    /// The twins: with the victim, and without.
    pub(crate) fn twins(victim: Victim) -> (Who, Who) {
        match victim {
            Victim::Heavy => (Who::AndHeavy, Who::Everybody),
            other => (Who::Everybody, Who::AllBut(other)),
        }
    }
}

/// A question rehearsed over a site's epoch.
pub(crate) fn rehearse(site: &Site, policy: &Policy, query: &PrivateQuery) -> Rehearsal {
    site::run(Rehearsal::new(&site.epoch, &site::models(), policy, query)).unwrap()
}
