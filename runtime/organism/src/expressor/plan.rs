//! The subtraction, and what comes of it.

use std::collections::BTreeMap;
use std::fmt;

use cyte_dna::GeneName;
use serde::Serialize;

use super::{Attempts, Counted, Expressors, Had, Have, Want};
use crate::Nanos;
use crate::phenotype::{Cause, HostId};
use crate::wish::{Constraint, Kind, Labels, Wish};

/// How deep companions may bring companions.
const COMPANION_DEPTH: u32 = 16;

/// Any random number, drawn by the caller.
pub type Draw<'a> = dyn FnMut() -> u64 + 'a;

/// Whether expression is on. Off, stores are just data and nothing starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Missing pieces are started, surplus ends.
    On,
    /// Nothing happens.
    Off,
}

/// What one round of expression is made from.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    /// The present.
    pub now: Nanos,
    /// This host.
    pub me: HostId,
    /// What constraints can ask of this host.
    pub labels: &'a Labels,
    /// The wishes in force, one a gene.
    pub wishes: &'a [Wish],
    /// What there is.
    pub have: &'a Have,
    /// Cells that may be started in this round.
    pub permits: u32,
    /// Whether anything may be done.
    pub switch: Switch,
}

/// Cells to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// Of this gene.
    pub gene: GeneName,
    /// So many.
    pub cells: u32,
}

/// Cells to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Surplus {
    /// Of this gene.
    pub gene: GeneName,
    /// So many.
    pub cells: u32,
    /// Why, in words.
    pub reason: String,
}

/// A gene that has fewer cells than wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Which.
    pub gene: GeneName,
    /// Cells that are not alive yet.
    pub cells: u32,
    /// Why.
    pub reason: Reason,
    /// When it is tried again; `None` = in the next round, or when what the reason names changes.
    pub again: Option<Nanos>,
}

/// Why a piece is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Its start is under way.
    Starting,
    /// Expression is switched off.
    Off,
    /// The host has no permit left for this round.
    NoRoom,
    /// Its last cells died young.
    Backoff {
        /// Starts that failed in a row.
        failures: u32,
        /// Why the last one died.
        cause: Cause,
    },
    /// Its restart budget is spent.
    CrashLoop {
        /// Starts that failed in a row.
        failures: u32,
        /// Why the last one died.
        cause: Cause,
    },
    /// One cell is tried first, because the last ones died young.
    Probing,
    /// This host does not meet a constraint.
    Constraint(Constraint),
    /// It may live on other hosts only.
    ElsewhereOnly,
    /// No more are allowed here.
    AtBound {
        /// So many are.
        most: u32,
    },
    /// A companion cannot come.
    Companion {
        /// Which.
        gene: GeneName,
        /// Why, in words.
        why: String,
    },
    /// No expressor of that kind is plugged in.
    UnknownKind(Kind),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Starting => f.write_str("it is being started"),
            Reason::Off => f.write_str("expression is switched off"),
            Reason::NoRoom => f.write_str("the host has no room left for it in this round"),
            Reason::Backoff { failures, cause } => {
                write!(f, "its last {failures} starts failed ({cause:?}); it waits before the next")
            }
            Reason::CrashLoop { failures, cause } => {
                write!(f, "it is in a crash loop: {failures} starts in a row failed ({cause:?})")
            }
            Reason::Probing => f.write_str("one cell is tried first, because the last ones died young"),
            Reason::Constraint(constraint) => write!(f, "this host does not meet `{constraint}`"),
            Reason::ElsewhereOnly => f.write_str("its scope is remote: only other hosts may hold it"),
            Reason::AtBound { most } => write!(f, "at most {most} are allowed on this host"),
            Reason::Companion { gene, why } => write!(f, "its companion `{gene}` cannot come: {why}"),
            Reason::UnknownKind(kind) => write!(f, "no expressor of kind `{kind}` is there"),
        }
    }
}

/// What one round comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// To start, in this order: higher priority first, at random among equals.
    pub start: Vec<Piece>,
    /// To end, lower priority first.
    pub stop: Vec<Surplus>,
    /// Every gene that has fewer cells than wanted, ascending, each once.
    pub missing: Vec<Missing>,
}

/// Want minus have. Same inputs and draws give the same plan.
pub fn express(round: &Round<'_>, expressors: &Expressors, attempts: &Attempts, draw: &mut Draw<'_>) -> Plan {
    let mut sums = Sums::new(round, expressors, attempts);
    sums.weigh();
    let mut plan = Plan { start: sums.pick(draw), ..Plan::default() };
    for row in sums.rows.values() {
        plan.missing.extend(row.missing(round.switch));
        plan.stop.extend(row.surplus(round).filter(|_| round.switch == Switch::On));
    }
    let priority = |surplus: &Surplus| sums.rows.get(&surplus.gene).map(|row| row.priority);
    plan.stop.sort_by_key(priority);
    plan
}

/// One wish with all that is known about it.
struct Row<'a> {
    wish: &'a Wish,
    want: Want,
    had: Had,
    /// Its own, or that of whoever brings it if that is higher.
    priority: u16,
    /// Cells that those who bring it need here; `None` = nobody brings it.
    brought: Option<u32>,
    /// Why nothing of it can be started now.
    blocked: Option<(Reason, Option<Nanos>)>,
    /// Whether only one may be started.
    is_probing: bool,
    /// Cells chosen in this round.
    chosen: u32,
}

impl Row<'_> {
    /// Cells wanted here, given what is elsewhere, whether or not they are allowed.
    fn wanted(&self) -> u32 {
        let own = match self.want.counted {
            Counted::Here => self.want.least,
            Counted::Everywhere => self.want.least.saturating_sub(self.had.elsewhere),
            Counted::Elsewhere => 0,
        };
        own.max(self.brought.unwrap_or(0))
    }

    /// Cells that are to be here.
    fn least(&self) -> u32 {
        self.wanted().min(self.most())
    }

    /// Cells allowed at most here, whoever brings it.
    fn most(&self) -> u32 {
        let is_one = self.want.constrained && self.wish.is_one_a_host();
        if is_one { self.want.most.min(1) } else { self.want.most }
    }

    /// Cells that are neither alive nor on the way.
    fn deficit(&self) -> u32 {
        self.least().saturating_sub(self.had.committed())
    }

    /// Cells that could be started now.
    fn startable(&self) -> u32 {
        match (&self.blocked, self.is_probing) {
            (Some(_), _) => 0,
            (None, true) if self.had.pending > 0 => 0,
            (None, true) => self.deficit().min(1),
            (None, false) => self.deficit(),
        }
    }

    /// Whether this may come although the other, which may not live with it, wants to.
    fn goes_before(&self, other: &Self) -> bool {
        let back = Constraint::NotWith(other.wish.gene.clone());
        let is_mutual = self.want.constrained && self.wish.constraints.contains(&back);
        let rank = |row: &Self| (row.priority, std::cmp::Reverse(row.wish.gene.clone()));
        !is_mutual || rank(self) > rank(other)
    }

    fn missing(&self, switch: Switch) -> Option<Missing> {
        let elsewhere = match self.want.counted {
            Counted::Elsewhere => self.want.least.saturating_sub(self.had.elsewhere),
            Counted::Here | Counted::Everywhere => 0,
        };
        let cells = self.wanted().saturating_sub(self.had.here).max(elsewhere);
        if cells == 0 {
            return None;
        }
        let left = self.deficit().saturating_sub(self.chosen);
        let (reason, again) = match &self.blocked {
            _ if switch == Switch::Off => (Reason::Off, None),
            _ if elsewhere > 0 => (Reason::ElsewhereOnly, None),
            Some((reason, again)) if left > 0 => (reason.clone(), *again),
            None if left > 0 && self.is_probing => (Reason::Probing, None),
            None if left > 0 => (Reason::NoRoom, None),
            _ if self.chosen == 0 && self.had.pending == 0 => (Reason::AtBound { most: self.most() }, None),
            _ => (Reason::Starting, None),
        };
        Some(Missing { gene: self.wish.gene.clone(), cells, reason, again })
    }

    fn surplus(&self, round: &Round<'_>) -> Option<Surplus> {
        let here = self.had.here;
        let end = |cells: u32, reason: String| {
            (cells > 0).then(|| Surplus { gene: self.wish.gene.clone(), cells: cells.min(here), reason })
        };
        if let Some((Reason::Constraint(_) | Reason::ElsewhereOnly, _)) = &self.blocked {
            let reason = self.blocked.as_ref().map(|(reason, _)| reason.to_string()).unwrap_or_default();
            return end(here, reason);
        }
        if matches!(self.blocked, Some((Reason::UnknownKind(_), _))) {
            return None;
        }
        if self.brought.is_some() {
            let ruled = self.least().max(self.want.least.min(self.most()));
            return end(here.saturating_sub(ruled), format!("{ruled} come as companions"));
        }
        let most = self.most();
        match self.want.counted {
            Counted::Everywhere => {
                let all = here.saturating_add(self.had.elsewhere);
                let over = all.saturating_sub(most);
                // One host at a time gives up its own, the one that has most: else all would.
                let others = self.had.largest.map_or(0, |(cells, _)| cells);
                let mine = self.had.largest.is_none_or(|largest| (here, round.me) > largest);
                let share = if mine { over.min(here.saturating_sub(others).max(1)) } else { 0 };
                end(share.max(here.saturating_sub(most)), format!("at most {most} on all hosts are wanted"))
            }
            _ => end(here.saturating_sub(most), format!("at most {most} are wanted")),
        }
    }
}

/// All rows of a round.
struct Sums<'a> {
    round: &'a Round<'a>,
    rows: BTreeMap<&'a GeneName, Row<'a>>,
}

impl<'a> Sums<'a> {
    fn new(round: &'a Round<'a>, expressors: &Expressors, attempts: &Attempts) -> Self {
        let rows = round.wishes.iter().map(|wish| (&wish.gene, row(round, expressors, attempts, wish)));
        Sums { round, rows: rows.collect() }
    }

    /// Works out what may come with what and what may not. Whatever gives way may be somebody's
    /// companion, so that it is all weighed again; each time something more is blocked.
    fn weigh(&mut self) {
        let genes: Vec<&GeneName> = self.rows.keys().copied().collect();
        let (mut order, mut marks) = (Vec::new(), BTreeMap::new());
        for gene in &genes {
            self.visit(gene, COMPANION_DEPTH, &mut marks, &mut order);
        }
        for gene in &order {
            self.block_quarrels(gene);
        }
        loop {
            for row in self.rows.values_mut() {
                (row.brought, row.priority) = (None, row.wish.priority);
            }
            // `order` has companions before those who bring them: blocks go up it, demand down.
            for gene in &order {
                self.block_by_companion(gene);
            }
            for gene in order.iter().rev() {
                self.bring(gene);
            }
            if !self.keep_apart() {
                return;
            }
        }
    }

    /// A gene that brings two which may not live together, or one that it may not live with itself.
    fn block_quarrels(&mut self, gene: &GeneName) {
        let mut family: Vec<&GeneName> = Vec::new();
        let mut open: Vec<&GeneName> = self.rows.get(gene).map(|row| &row.wish.gene).into_iter().collect();
        while let Some(next) = open.pop() {
            if let Some(row) = self.rows.get(next).filter(|_| !family.contains(&next)) {
                family.push(next);
                open.extend(&row.wish.companions);
            }
        }
        let quarrel = family.iter().filter_map(|one| self.rows.get(one)).find_map(|row| {
            let others = row.wish.constraints.iter().filter(|_| row.want.constrained);
            others.into_iter().find_map(|constraint| match constraint {
                Constraint::NotWith(other) if *other != row.wish.gene && family.contains(&other) => {
                    Some((row.wish.gene.clone(), constraint.to_string()))
                }
                _ => None,
            })
        });
        if let Some((who, constraint)) = quarrel {
            let why = format!("gene `{who}`, which comes along, has the constraint `{constraint}`");
            self.block(gene, Reason::Companion { gene: who, why }, None);
        }
    }

    /// A gene that may not live with another gives way to one that is about to be started. Where
    /// each names the other, the one of higher priority comes, or the first by name.
    /// Says whether anybody gave way.
    fn keep_apart(&mut self) -> bool {
        let mut ways = Vec::new();
        for row in self.rows.values().filter(|row| row.want.constrained && row.blocked.is_none()) {
            for constraint in &row.wish.constraints {
                if let Constraint::NotWith(other) = constraint
                    && let Some(other) = self.rows.get(other)
                    && other.wish.gene != row.wish.gene
                    && other.startable() > 0
                    && other.goes_before(row)
                {
                    ways.push((&row.wish.gene, constraint.clone()));
                }
            }
        }
        let is_any = !ways.is_empty();
        for (gene, constraint) in ways {
            self.block(gene, Reason::Constraint(constraint), None);
        }
        is_any
    }

    fn visit(
        &mut self,
        gene: &'a GeneName,
        depth: u32,
        marks: &mut BTreeMap<&'a GeneName, Mark>,
        order: &mut Vec<&'a GeneName>,
    ) {
        if marks.contains_key(gene) {
            return;
        }
        marks.insert(gene, Mark::Open);
        let companions = self.rows.get(gene).map_or(&[][..], |row| &row.wish.companions);
        for companion in companions {
            let is_circle = marks.get(companion) == Some(&Mark::Open);
            if is_circle || depth == 0 {
                let why = "companions bring each other in a circle, or too deep".to_owned();
                self.block(gene, Reason::Companion { gene: companion.clone(), why }, None);
            } else {
                self.visit(companion, depth - 1, marks, order);
            }
        }
        marks.insert(gene, Mark::Done);
        order.push(gene);
    }

    fn block(&mut self, gene: &GeneName, reason: Reason, again: Option<Nanos>) {
        if let Some(row) = self.rows.get_mut(gene) {
            row.blocked.get_or_insert((reason, again));
        }
    }

    fn block_by_companion(&mut self, gene: &GeneName) {
        let Some(row) = self.rows.get(gene) else { return };
        let needed = row.had.committed().max(row.least());
        let refused = row.wish.companions.iter().find_map(|companion| {
            let (why, again) = match self.rows.get(companion) {
                None => ("nobody wants it".to_owned(), None),
                Some(other) if other.most() < needed => {
                    (format!("at most {} of it are allowed here, {needed} are needed", other.most()), None)
                }
                Some(other) => match &other.blocked {
                    Some((reason, again)) if other.had.committed() < needed => (reason.to_string(), *again),
                    _ => return None,
                },
            };
            Some((Reason::Companion { gene: companion.clone(), why }, again))
        });
        if let Some((reason, again)) = refused {
            self.block(gene, reason, again);
        }
    }

    fn bring(&mut self, gene: &GeneName) {
        let Some(row) = self.rows.get(gene) else { return };
        let committed = row.had.committed();
        let needed = if row.blocked.is_some() { committed } else { committed.max(row.least()) };
        let (wish, priority) = (row.wish, row.priority);
        for companion in &wish.companions {
            if let Some(other) = self.rows.get_mut(companion) {
                other.brought = Some(other.brought.unwrap_or(0).max(needed));
                if needed > 0 {
                    other.priority = other.priority.max(priority);
                }
            }
        }
    }

    /// Chooses what is started: by priority, one cell at a time at random among equals, so that two
    /// hosts that start at once rarely choose the same (seed 000: "maybe at random?").
    fn pick(&mut self, draw: &mut Draw<'_>) -> Vec<Piece> {
        let mut start: Vec<Piece> = Vec::new();
        if self.round.switch == Switch::Off {
            return start;
        }
        let mut permits = self.round.permits;
        let mut ranks: BTreeMap<u16, Vec<&mut Row<'a>>> = BTreeMap::new();
        for row in self.rows.values_mut().filter(|row| row.startable() > 0) {
            ranks.entry(row.priority).or_default().push(row);
        }
        for mut equals in ranks.into_values().rev() {
            while permits > 0 && !equals.is_empty() {
                let at = usize::try_from(draw() % (equals.len() as u64)).unwrap_or(0);
                let Some(row) = equals.get_mut(at) else { break };
                row.chosen += 1;
                permits -= 1;
                match start.last_mut() {
                    Some(last) if last.gene == row.wish.gene => last.cells += 1,
                    _ => start.push(Piece { gene: row.wish.gene.clone(), cells: 1 }),
                }
                if row.chosen >= row.startable() {
                    equals.swap_remove(at);
                }
            }
        }
        start
    }
}

/// Whether a gene's companions are being visited, or have been.
#[derive(PartialEq, Eq)]
enum Mark {
    Open,
    Done,
}

fn row<'a>(round: &Round<'_>, expressors: &Expressors, attempts: &Attempts, wish: &'a Wish) -> Row<'a> {
    let had = round.have.get(&wish.gene);
    let expressor = expressors.get(&wish.expressor);
    let want = expressor.map(|expressor| expressor.want(wish, round.have));
    // Without an expressor nobody knows what the wish means; its lower end is shown as missing.
    let unknown = Want { least: wish.count.min, most: u32::MAX, counted: Counted::Here, constrained: false };
    let trouble = attempts.trouble(&wish.gene);
    let blocked = match want {
        None => Some((Reason::UnknownKind(wish.expressor.clone()), None)),
        Some(want) => match unmet(round, wish, want) {
            Some(reason) => Some((reason, None)),
            None => trouble.filter(|trouble| trouble.again > round.now).map(|trouble| {
                let (failures, cause) = (trouble.in_a_row, trouble.cause);
                let reason = match trouble.is_crash_loop {
                    true => Reason::CrashLoop { failures, cause },
                    false => Reason::Backoff { failures, cause },
                };
                (reason, Some(trouble.again))
            }),
        },
    };
    Row {
        wish,
        want: want.unwrap_or(unknown),
        had,
        priority: wish.priority,
        brought: None,
        blocked,
        is_probing: trouble.is_some(),
        chosen: 0,
    }
}

/// Why this host may hold no cell of the gene.
fn unmet(round: &Round<'_>, wish: &Wish, want: Want) -> Option<Reason> {
    if want.counted == Counted::Elsewhere {
        return Some(Reason::ElsewhereOnly);
    }
    let broken = |constraint: &&Constraint| match constraint {
        Constraint::NotWith(gene) => *gene != wish.gene && round.have.get(gene).committed() > 0,
        Constraint::Host(_) => constraint.excludes(round.labels),
    };
    let first = wish.constraints.iter().find(broken).filter(|_| want.constrained);
    first.map(|constraint| Reason::Constraint(constraint.clone()))
}
