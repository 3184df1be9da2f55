//! Commands on a link between an MSP and an account. Most concern the account as well: both change in one append.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tenure_aggregates::link::{self, GroupGrants, Link, Proof};
use tenure_aggregates::subscription::{self, Subscription};
use tenure_aggregates::tenant::{self, Tenant, TenantKind};
use tenure_aggregates::values::{DisplayName, PriceId, SubjectId, UserId};
use tenure_aggregates::{Decider, Folded, LinkId, Personal, Replay, TenantId, fold};
use tenure_event_log::Position;
use uuid::Uuid;

use super::changes::Changes;
use super::{CommandContext, CommandError, DECIDE_AGAIN_FOR, Dispatcher, Inner};

/// Which link: whose, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkKey {
    /// Whose.
    pub msp: TenantId,
    /// To which account.
    pub account: TenantId,
}

impl LinkKey {
    /// The link's id.
    #[must_use]
    pub fn id(self) -> LinkId {
        LinkId::between(self.msp, self.account)
    }
}

/// What somebody wants of a link, with all that the account needs for it.
#[derive(Clone, Debug)]
pub enum LinkRequest {
    /// Calls the account something else, and lets other groups in.
    Update {
        /// The account's name.
        name: DisplayName,
        /// The groups.
        groups: GroupGrants,
    },
    /// Takes what was found as the domain's proof.
    Verify(Proof),
    /// Asks the account's owner.
    Invite,
    /// The owner agrees.
    Accept {
        /// Who agrees.
        by: SubjectId,
    },
    /// The owner does not.
    Decline,
    /// Lets the account go, which pays nothing from then on.
    Unlink {
        /// Whose it is then.
        owner: UserId,
        /// How events name that person.
        owner_id: SubjectId,
    },
    /// Gives up the link; deprovisions an account that the MSP manages.
    Remove,
    /// Chooses what the account pays for.
    Subscribe(PriceId),
}

/// A link as a command left it.
#[derive(Clone, Debug)]
pub struct LinkOutcome {
    /// Which.
    pub key: LinkKey,
    /// How it stands.
    pub link: Link,
    /// Position of the command's last event; `None` if nothing changed.
    pub position: Option<Position>,
}

impl Dispatcher {
    /// Carries out one command on a link that holds, to an account that is not being deleted.
    ///
    /// # Errors
    /// The refusal of link, account or subscription, or why nothing could be decided.
    pub async fn on_link(
        &self,
        key: LinkKey,
        request: LinkRequest,
        context: CommandContext,
    ) -> Result<LinkOutcome, CommandError> {
        let inner = Arc::clone(&self.inner);
        self.detached(async move {
            let outcome = inner.decide_link_again(key, &request, &context).await?;
            if let Some(position) = outcome.position {
                inner.settle(position, context.wait).await;
            }
            Ok(outcome)
        })
        .await
    }

    /// Looks up the domain's proof and takes it, where the account still waits for it.
    ///
    /// # Errors
    /// See [`Dispatcher::on_link`].
    pub async fn verify_link(&self, key: LinkKey, context: CommandContext) -> Result<LinkOutcome, CommandError> {
        let proof = match self.read_link(key).await? {
            Link::Pending { terms } => self.inner.proofs.look_up(&terms.link.domain, &terms.link.dns_challenge).await,
            // There is nothing to prove, as the decision will say.
            Link::Absent | Link::Existing { .. } | Link::Invited { .. } | Link::Active { .. } | Link::Ended { .. } => {
                Proof::Missing
            }
        };
        self.on_link(key, LinkRequest::Verify(proof), context).await
    }

    /// The link as it is now, fresh from the log.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] where it does not hold, or the account is being deleted.
    pub async fn read_link(&self, key: LinkKey) -> Result<Link, CommandError> {
        Ok(self.inner.load_link(key).await?.link.state)
    }

    /// The link by which an account is invited.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn invitation(&self, account: TenantId) -> Result<Option<LinkKey>, CommandError> {
        let claim = self.inner.log.claim_owner(link::INVITATION_CLAIM, &account.to_string()).await?;
        let Some(id) = claim else { return Ok(None) };
        let link: Folded<Link> = self.inner.load_stream(&id).await?;
        Ok(link.state.terms().map(|terms| LinkKey { msp: terms.link.msp, account }))
    }
}

/// A link and its account, as the log has them now.
struct Loaded {
    key: LinkKey,
    link: Folded<Link>,
    account: Folded<Tenant>,
}

impl Inner {
    pub(super) async fn load_stream<A: Decider>(&self, id: &str) -> Result<Folded<A>, CommandError> {
        Ok(fold::<A>(id, self.log.load::<Replay<A>>(id).await?)?)
    }

    async fn load_link(&self, key: LinkKey) -> Result<Loaded, CommandError> {
        let link: Folded<Link> = self.load_stream(&key.id().to_string()).await?;
        if !link.state.stage().is_live() {
            return Err(CommandError::NotFound);
        }
        let account = self.load_tenant(key.account).await?;
        if account.state.stage().is_present() { Ok(Loaded { key, link, account }) } else { Err(CommandError::NotFound) }
    }

    /// Decides, always on a fresh load, until nobody was faster.
    async fn decide_link_again(
        &self,
        key: LinkKey,
        request: &LinkRequest,
        context: &CommandContext,
    ) -> Result<LinkOutcome, CommandError> {
        let began = Instant::now();
        let turn = tokio::time::timeout(DECIDE_AGAIN_FOR, self.stripes.lock(key.account.as_uuid())).await;
        let _turn = turn.map_err(|_| CommandError::Busy)?;
        loop {
            let loaded = self.load_link(key).await?;
            match self.decide_link_once(&loaded, request, context).await {
                Err(CommandError::Busy) if began.elapsed() < DECIDE_AGAIN_FOR => {}
                other => return other,
            }
        }
    }

    async fn decide_link_once(
        &self,
        loaded: &Loaded,
        request: &LinkRequest,
        context: &CommandContext,
    ) -> Result<LinkOutcome, CommandError> {
        let key = loaded.key;
        let mut joint = Joint::new(loaded, Changes::new(&self.log, context));
        let at = self.log.clock().now();
        match request.clone() {
            LinkRequest::Update { name, groups } => {
                joint.link(link::Command::Update { name: name.clone(), groups, at })?;
                // An account that others made keeps the name that it has there.
                if joint.is_customer() {
                    let changes = tenant::Changes { display_name: Some(name), ..tenant::Changes::default() };
                    joint.account(tenant::Command::Update { changes, at })?;
                }
            }
            LinkRequest::Verify(proof) => {
                if joint.link(link::Command::Verify { proof, at })?
                    && let Some(terms) = loaded.link.state.terms()
                {
                    joint.account(tenant::Command::ProveDomain { domain: terms.link.domain.clone(), at })?;
                }
            }
            LinkRequest::Invite => drop(joint.link(link::Command::Invite { at })?),
            LinkRequest::Accept { by } => {
                let msp = self.load_tenant(key.msp).await?;
                if !super::provision::is_active_msp(&msp.state) {
                    return Err(CommandError::MspNotActive);
                }
                joint.changes.unchanged(key.msp.as_uuid(), &msp);
                joint.link(link::Command::Accept { at })?;
                let contact_email = msp.state.account().ok_or(CommandError::MspNotActive)?.contact_email.clone();
                joint.account(tenant::Command::Join { msp: key.msp, by, contact_email, at })?;
            }
            LinkRequest::Decline => drop(joint.link(link::Command::Decline { at })?),
            LinkRequest::Unlink { owner, owner_id } => {
                joint.link(link::Command::Unlink { at })?;
                let owner = Personal::Known(owner);
                joint.account(tenant::Command::Leave { msp: key.msp, owner, owner_id, at })?;
                self.subscription(&mut joint, subscription::Command::Cancel { at }).await?;
            }
            LinkRequest::Remove => match loaded.link.state.stage() {
                link::Stage::Pending | link::Stage::Active => joint.deprovision(self.settings.retention, at)?,
                link::Stage::Absent | link::Stage::Existing | link::Stage::Invited | link::Stage::Ended => {
                    joint.link(link::Command::Withdraw { at })?;
                }
            },
            LinkRequest::Subscribe(price) => {
                let link = loaded.link.state.stage();
                self.subscription(&mut joint, subscription::Command::Change { price, link, at }).await?;
            }
        }
        let Some((append, link)) = joint.into_append() else {
            return Ok(LinkOutcome { key, link: loaded.link.state.clone(), position: None });
        };
        let position = self.append(append, context).await?.last;
        // What is remembered of the account may be older now; the next command reads it.
        self.tenants.remove(&key.account);
        Ok(LinkOutcome { key, link, position: Some(position) })
    }

    async fn subscription(&self, joint: &mut Joint<'_>, command: subscription::Command) -> Result<(), CommandError> {
        let id = joint.loaded.key.account;
        let before: Folded<Subscription> = self.load_stream(&id.to_string()).await?;
        if joint.decide(id.as_uuid(), id, &before, command)?.is_none() {
            joint.changes.unchanged(id.as_uuid(), &before);
        }
        Ok(())
    }
}

/// One append for what a command decides on a link, its account and more. Whatever it does not change must not have moved.
struct Joint<'a> {
    loaded: &'a Loaded,
    changes: Changes<'a>,
    link: Option<Link>,
    account_changed: bool,
    anything_changed: bool,
}

impl<'a> Joint<'a> {
    const fn new(loaded: &'a Loaded, changes: Changes<'a>) -> Self {
        Self { loaded, changes, link: None, account_changed: false, anything_changed: false }
    }

    fn is_customer(&self) -> bool {
        let kind = self.loaded.account.state.account().map(|account| account.kind);
        kind == Some(TenantKind::Customer { msp: self.loaded.key.msp })
    }

    /// Whether anything happened. Link events belong to the MSP: their keys outlive the account.
    fn link(&mut self, command: link::Command) -> Result<bool, CommandError> {
        let LinkKey { msp, .. } = self.loaded.key;
        let after = self.decide(self.loaded.key.id().as_uuid(), msp, &self.loaded.link, command)?;
        let happened = after.is_some();
        self.link = after.or(self.link.take());
        Ok(happened)
    }

    fn account(&mut self, command: tenant::Command) -> Result<(), CommandError> {
        let id = self.loaded.key.account;
        self.account_changed |= self.decide(id.as_uuid(), id, &self.loaded.account, command)?.is_some();
        Ok(())
    }

    fn deprovision(
        &mut self,
        retention: tenure_aggregates::values::Retention,
        at: DateTime<Utc>,
    ) -> Result<(), CommandError> {
        let short_code = self.loaded.account.state.account().map(|account| account.short_code.to_string());
        let confirm_short_code = short_code.unwrap_or_default();
        self.account(tenant::Command::Deprovision { confirm_short_code, reason: None, retention, at })
    }

    /// The state after the events; `None` if there are none.
    fn decide<A: Decider>(
        &mut self,
        id: Uuid,
        tenant: TenantId,
        before: &Folded<A>,
        command: A::Command,
    ) -> Result<Option<A>, CommandError>
    where
        CommandError: From<tenure_aggregates::Refusal<A::Error>>,
    {
        let decision = before.decide(command)?;
        if decision.events.is_empty() {
            return Ok(None);
        }
        self.changes.decided(id, tenant, before.sequence, &decision)?;
        self.anything_changed = true;
        Ok(Some(decision.after.state))
    }

    /// The append and the link after it; `None` if nothing changed.
    fn into_append(mut self) -> Option<(tenure_event_log::Append, Link)> {
        if !self.anything_changed {
            return None;
        }
        let Loaded { key, link, account } = self.loaded;
        if self.link.is_none() {
            self.changes.unchanged(key.id().as_uuid(), link);
        }
        if !self.account_changed {
            self.changes.unchanged(key.account.as_uuid(), account);
        }
        let append = self.changes.answered_by::<Link>(key.id().as_uuid(), link.sequence);
        Some((append, self.link.unwrap_or_else(|| link.state.clone())))
    }
}
