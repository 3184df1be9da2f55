//! Linking an account: one that is made for it, or one that has proven the domain before.

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;
use tenure_aggregates::link::{self, GroupGrants, Link, NewLink, Origin};
use tenure_aggregates::tenant::{self, DOMAIN_CLAIM, NewAccount, SHORT_CODE_CLAIM, Stage, Tenant, TenantKind};
use tenure_aggregates::values::{DisplayName, DnsChallenge, DomainName, Modules, ResourceLimit, SeatLimit, ShortCode};
use tenure_aggregates::{Folded, TenantId};
use uuid::Uuid;

use super::changes::Changes;
use super::links::{LinkKey, LinkOutcome};
use super::provision::is_active_msp;
use super::{CommandContext, CommandError, DECIDE_AGAIN_FOR, Dispatcher, Inner};

/// An account to be linked.
#[derive(Clone, Debug)]
pub struct LinkedAccount {
    /// Who links it.
    pub msp: TenantId,
    /// What that MSP calls it.
    pub name: DisplayName,
    /// Its domain.
    pub domain: DomainName,
    /// Whom the link lets in.
    pub groups: GroupGrants,
    /// What the domain's owner is to publish.
    pub dns_challenge: DnsChallenge,
}

/// Short codes that are tried one after the other: as made from the name, then with small numbers, then with any.
const SMALL_NUMBERS: u32 = 4;
const ANY_NUMBER: std::ops::Range<u32> = 100_000..1_000_000;
/// So many, before it is no coincidence that all are taken.
const SHORT_CODES_TRIED: u32 = 20;

impl Dispatcher {
    /// Links the account that has proven the domain, or makes one that is pending until it is proven.
    ///
    /// # Errors
    /// [`CommandError::ClaimTaken`] where the MSP has a link for that domain; [`CommandError::DomainHeld`];
    /// [`CommandError::MspNotActive`].
    pub async fn create_link(&self, new: LinkedAccount, context: CommandContext) -> Result<LinkOutcome, CommandError> {
        let inner = Arc::clone(&self.inner);
        self.detached(async move {
            let outcome = inner.create_link_again(&new, &context).await?;
            if let Some(position) = outcome.position {
                inner.settle(position, context.wait).await;
            }
            Ok(outcome)
        })
        .await
    }
}

/// What a new link leads to.
struct Target {
    account: TenantId,
    /// As the log has it; not there yet for a new one.
    before: Folded<Tenant>,
    origin: Origin,
}

impl Inner {
    async fn create_link_again(
        &self,
        new: &LinkedAccount,
        context: &CommandContext,
    ) -> Result<LinkOutcome, CommandError> {
        let began = Instant::now();
        let mut codes_tried = 0;
        loop {
            match self.create_link_once(new, context, codes_tried).await {
                Err(CommandError::ClaimTaken { scope })
                    if scope == SHORT_CODE_CLAIM && codes_tried < SHORT_CODES_TRIED =>
                {
                    codes_tried += 1;
                }
                Err(CommandError::ClaimTaken { scope }) if scope == link::MSP_DOMAIN_CLAIM => {
                    // Of an account that is being deleted, perhaps.
                    if !self.close_left_over(new, context).await? || began.elapsed() > DECIDE_AGAIN_FOR {
                        return Err(CommandError::ClaimTaken { scope });
                    }
                }
                Err(CommandError::Busy) if began.elapsed() < DECIDE_AGAIN_FOR => {}
                other => return other,
            }
        }
    }

    async fn create_link_once(
        &self,
        new: &LinkedAccount,
        context: &CommandContext,
        codes_tried: u32,
    ) -> Result<LinkOutcome, CommandError> {
        let at = self.log.clock().now();
        let msp = self.load_tenant(new.msp).await?;
        if !is_active_msp(&msp.state) {
            return Err(CommandError::MspNotActive);
        }
        let target = self.target(new).await?;
        let key = LinkKey { msp: new.msp, account: target.account };
        let before: Folded<Link> = match target.origin {
            Origin::New => Folded::default(),
            Origin::Existing => self.load_stream(&key.id().to_string()).await?,
        };
        let link = before.decide(link::Command::Create { link: new.to(target.account), origin: target.origin, at })?;

        let mut changes = Changes::new(&self.log, context);
        match target.origin {
            Origin::New => {
                let id = target.account;
                let account = new.account(id, &msp.state, codes_tried).ok_or(CommandError::MspNotActive)?;
                let tenant = target.before.decide(tenant::Command::Provision { account, at })?;
                changes.decided(id.as_uuid(), id, 0, &tenant)?;
            }
            Origin::Existing => changes.unchanged(target.account.as_uuid(), &target.before),
        }
        changes.decided(key.id().as_uuid(), new.msp, before.sequence, &link)?;
        changes.unchanged(new.msp.as_uuid(), &msp);
        let append = changes.answered_by::<Link>(key.id().as_uuid(), link.after.sequence);
        let position = self.append(append, context).await?.last;
        Ok(LinkOutcome { key, link: link.after.state, position: Some(position) })
    }

    /// Whoever has proven the domain, or an account that is made for it.
    async fn target(&self, new: &LinkedAccount) -> Result<Target, CommandError> {
        let owner = self.log.claim_owner(DOMAIN_CLAIM, new.domain.as_str()).await?;
        let Some(owner) = owner.and_then(|owner| owner.parse::<TenantId>().ok()) else {
            let account = TenantId::from_uuid(Uuid::now_v7());
            return Ok(Target { account, before: Folded::default(), origin: Origin::New });
        };
        let before = self.load_tenant(owner).await?;
        let is_ours =
            before.state.account().is_some_and(|account| account.kind == TenantKind::Customer { msp: new.msp });
        match before.state.stage() {
            Stage::Active | Stage::Suspended if is_ours => Err(CommandError::DomainHeld),
            Stage::Active | Stage::Suspended => Ok(Target { account: owner, before, origin: Origin::Existing }),
            // It keeps its domain until it is gone: it may be restored.
            Stage::Deprovisioning => Err(CommandError::DomainHeld),
            // The claim was given back since it was looked at.
            Stage::Unprovisioned | Stage::Deleted => Err(CommandError::Busy),
        }
    }

    /// Ends the MSP's link for that domain if its account is being deleted. False if it goes on.
    async fn close_left_over(&self, new: &LinkedAccount, context: &CommandContext) -> Result<bool, CommandError> {
        let key = new.to(new.msp).domain_key();
        let Some(id) = self.log.claim_owner(link::MSP_DOMAIN_CLAIM, &key).await? else { return Ok(true) };
        let before: Folded<Link> = self.load_stream(&id).await?;
        let Some(terms) = before.state.terms() else { return Ok(false) };
        let account = self.load_tenant(terms.link.account).await?;
        let close = link::Command::Close { account: account.state.stage(), at: self.log.clock().now() };
        let Ok(decision) = before.decide(close) else { return Ok(false) };
        let context = CommandContext { command_id: Uuid::now_v7(), ..context.clone() };
        let mut changes = Changes::new(&self.log, &context);
        let id = LinkKey { msp: new.msp, account: terms.link.account }.id();
        changes.decided(id.as_uuid(), new.msp, before.sequence, &decision)?;
        changes.unchanged(terms.link.account.as_uuid(), &account);
        let append = changes.answered_by::<Link>(id.as_uuid(), decision.after.sequence);
        match self.append(append, &context).await {
            // If somebody was faster, the next look shows what is there now.
            Ok(_) | Err(CommandError::Busy) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl LinkedAccount {
    fn to(&self, account: TenantId) -> NewLink {
        let Self { msp, name, domain, groups, dns_challenge } = self.clone();
        NewLink { msp, account, name, domain, groups, dns_challenge }
    }

    /// An account with the defaults; whom to write to is the MSP's. `None` if that is no tenant.
    fn account(&self, tenant_id: TenantId, msp: &Tenant, codes_tried: u32) -> Option<NewAccount> {
        let number = match codes_tried {
            0 => None,
            few if few <= SMALL_NUMBERS => Some(few + 1),
            _ => Some(rand::thread_rng().gen_range(ANY_NUMBER)),
        };
        Some(NewAccount {
            tenant_id,
            kind: TenantKind::Customer { msp: self.msp },
            short_code: ShortCode::made_from(&[self.name.as_str(), self.domain.as_str()], number),
            display_name: self.name.clone(),
            contact_email: msp.account()?.contact_email.clone(),
            max_users: SeatLimit::DEFAULT,
            max_resources: ResourceLimit::DEFAULT,
            modules: Modules::default(),
        })
    }
}
