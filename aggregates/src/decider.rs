//! The form that every aggregate has: pure decisions on one side, history on the other.

use cqrs_es::DomainEvent;

use crate::{ClaimChange, LimitChange, Upcaster};

/// An aggregate's state and its rules.
///
/// The state is an enum of stages. `decide` and `evolve` match the stage first and the command or event inside, without
/// a catch-all arm, so that a new stage, command or event makes the compiler list every place to visit.
pub trait Decider: Clone + Default + Send + Sync + 'static {
    /// The first half of the stream's name, frozen in stored data.
    const TYPE: &'static str;

    /// Shapes that events once had, oldest first. See [`Upcaster`].
    const UPCASTERS: &'static [Upcaster] = &[];

    /// What somebody wants to happen, in the imperative. Parsed and complete: it carries the time, too.
    type Command: Send;
    /// What happened, in the past tense.
    type Event: DomainEvent + Send + Sync + 'static;
    /// Why a command was refused.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Decides what a command makes happen. No events: nothing changes, and that is fine.
    ///
    /// # Errors
    /// The rule that refuses the command.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// The state after an event. No rule is checked again: what happened, happened.
    ///
    /// # Errors
    /// The event can't follow this state in any history: the stream is corrupt.
    fn evolve(self, event: &Self::Event) -> Result<Self, Impossible>;

    /// Names that `event` takes or gives back, where `self` is the state that the event follows.
    fn claims(&self, event: &Self::Event) -> Vec<ClaimChange>;

    /// Counted limits that `event` changes, where `self` is the state that the event follows.
    fn limits(&self, event: &Self::Event) -> Vec<LimitChange>;
}

/// An event that no history holds at this point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} can't follow: the {aggregate} is {stage}")]
pub struct Impossible {
    /// The aggregate's type.
    pub aggregate: &'static str,
    /// The stage before the event.
    pub stage: &'static str,
    /// The event's wire name.
    pub event: &'static str,
}

/// Why a state gave no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal<E> {
    /// A rule refuses the command.
    #[error(transparent)]
    Rule(E),
    /// History, or the decision itself, holds an event that can't follow: a defect, never the caller's fault.
    #[error(transparent)]
    Impossible(#[from] Impossible),
}
