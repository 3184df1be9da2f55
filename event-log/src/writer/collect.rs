//! Choosing the members of the next batch from the two lanes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Member;
use super::commit::Reply;
use super::footprint::Footprint;
use crate::engine::Prepared;

/// Members that are going to be committed together.
#[derive(Default)]
pub(super) struct Batch {
    /// Shared only while an engine is at it.
    pub prepared: Arc<Vec<Prepared>>,
    /// One per member, in the same order.
    pub replies: Vec<Reply>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.prepared.len()
    }

    pub fn is_empty(&self) -> bool {
        self.prepared.is_empty()
    }

    pub fn push(&mut self, prepared: Prepared, reply: Reply) {
        Arc::make_mut(&mut self.prepared).push(prepared);
        self.replies.push(reply);
    }

    /// The members from `at` on, taken out.
    pub fn split_off(&mut self, at: usize) -> Self {
        let prepared = Arc::make_mut(&mut self.prepared).split_off(at);
        Self { prepared: Arc::new(prepared), replies: self.replies.split_off(at) }
    }
}

/// The two lanes as the writer's task sees them.
pub(super) struct Lanes {
    foreground: Line,
    background: Line,
    max_batch: usize,
}

/// One lane: its queue, and in front of it those that had to let a batch go without them.
struct Line {
    queue: mpsc::Receiver<Member>,
    held: VecDeque<Member>,
    ended: bool,
}

/// What the batch so far, and those held back from it, touch.
#[derive(Default)]
struct Touched(HashMap<u64, Touch>);

#[derive(Clone, Copy, PartialEq)]
enum Touch {
    Depended,
    Changed,
}

impl Lanes {
    pub fn new(foreground: mpsc::Receiver<Member>, background: mpsc::Receiver<Member>, max_batch: usize) -> Self {
        let line = |queue| Line { queue, held: VecDeque::new(), ended: false };
        Self { foreground: line(foreground), background: line(background), max_batch }
    }

    /// Everything that waits and may go together, up to a batch; at most a quarter of it from the background, which is
    /// kept free for it when it waits. Members with something in common keep their order.
    pub fn collect(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut touched = Touched::default();
        let quarter = (self.max_batch / 4).max(1);
        let reserved = self.background.waiting().min(quarter).min(self.max_batch - 1);
        self.foreground.fill(&mut batch, &mut touched, self.max_batch - reserved, self.max_batch);
        let room = quarter.min(self.max_batch - batch.len());
        self.background.fill(&mut batch, &mut touched, room, self.max_batch);
        batch
    }

    /// Waits until something is there to collect. False when there never will be: both lanes are closed and empty.
    pub async fn wait(&mut self) -> bool {
        while !(self.foreground.ended && self.background.ended) {
            tokio::select! {
                member = self.foreground.queue.recv(), if !self.foreground.ended => {
                    if self.foreground.arrived(member) { return true; }
                }
                member = self.background.queue.recv(), if !self.background.ended => {
                    if self.background.arrived(member) { return true; }
                }
            }
        }
        false
    }

    /// Takes no more members; those that wait stay.
    pub fn close(&mut self) {
        self.foreground.queue.close();
        self.background.queue.close();
    }

    /// Takes out everybody who waits.
    pub fn drain(&mut self) -> Vec<Member> {
        let mut all = Vec::new();
        for line in [&mut self.foreground, &mut self.background] {
            all.extend(line.held.drain(..));
            while let Ok(member) = line.queue.try_recv() {
                all.push(member);
            }
        }
        all
    }
}

impl Line {
    fn waiting(&self) -> usize {
        self.held.len() + self.queue.len()
    }

    fn arrived(&mut self, member: Option<Member>) -> bool {
        match member {
            Some(member) => self.held.push_back(member),
            None => self.ended = true,
        }
        !self.ended
    }

    /// Moves up to `room` members into the batch. Looks past at most `max_held` that must wait, so that the lane's bound
    /// holds also when everybody wants the same stream.
    fn fill(&mut self, batch: &mut Batch, touched: &mut Touched, room: usize, max_held: usize) {
        let full = batch.len() + room;
        let mut held = VecDeque::new();
        while batch.len() < full
            && held.len() <= max_held
            && let Some(member) = self.held.pop_front().or_else(|| self.queue.try_recv().ok())
        {
            if touched.admit(&member.footprint) {
                batch.push(member.prepared, member.reply);
            } else {
                held.push_back(member);
            }
        }
        held.append(&mut self.held);
        self.held = held;
    }
}

impl Touched {
    /// Whether the member may join. If not, what it touches still holds back those behind it, so that order is kept.
    fn admit(&mut self, footprint: &Footprint) -> bool {
        let free = footprint.changed.iter().all(|thing| !self.0.contains_key(thing))
            && footprint.depended.iter().all(|thing| self.0.get(thing) != Some(&Touch::Changed));
        for thing in &footprint.depended {
            self.0.entry(*thing).or_insert(Touch::Depended);
        }
        for thing in &footprint.changed {
            self.0.insert(*thing, Touch::Changed);
        }
        free
    }
}
