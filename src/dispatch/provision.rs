//! Provisioning: a new tenant and the invitation of its first administrator, in one append.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tenure_aggregates::tenant::{self, NewAccount, Tenant, TenantKind};
use tenure_aggregates::values::{EmailAddress, PersonName};
use tenure_aggregates::{Administrator, AdministratorId, AdministratorRole, Folded, Personal, TenantId, administrator};
use uuid::Uuid;

use super::changes::Changes;
use super::tenants::Committed;
use super::{CommandContext, CommandError, DECIDE_AGAIN_FOR, Dispatcher, Inner, Outcome, Scope};

/// A tenant to be made, and who is invited with it.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// What the tenant begins with. A version 7 uuid as its id keeps the log's indexes in time order.
    pub account: NewAccount,
    /// Name of the person who is invited as the first administrator.
    pub administrator_name: PersonName,
    /// Where that invitation goes.
    pub administrator_email: EmailAddress,
}

impl Dispatcher {
    /// Makes a tenant and invites its first administrator. A customer needs an active MSP.
    ///
    /// # Errors
    /// [`CommandError::ClaimTaken`] where the short code is in use; [`CommandError::MspNotActive`].
    pub async fn provision(&self, new: NewTenant, context: CommandContext) -> Result<Outcome, CommandError> {
        let inner = Arc::clone(&self.inner);
        self.detached(async move {
            let _entry = inner.enter(context.idempotency.as_ref())?;
            let scope = match new.account.kind {
                TenantKind::Msp | TenantKind::Independent => Scope::Cell,
                TenantKind::Customer { msp } => Scope::CustomersOf(msp),
            };
            let decided = inner.provision_again(&new, &context).await;
            inner.settled(scope, &context, decided).await
        })
        .await
    }
}

impl Inner {
    /// Tries until the MSP's stream stood still during a whole append.
    async fn provision_again(&self, new: &NewTenant, context: &CommandContext) -> Result<Committed, CommandError> {
        let began = Instant::now();
        let mut may_use_cache = true;
        loop {
            let msp = match new.account.kind {
                TenantKind::Msp | TenantKind::Independent => None,
                TenantKind::Customer { msp } => Some((msp, self.tenant_as_of(msp, may_use_cache).await?)),
            };
            let result = match &msp {
                Some((_, folded)) if !is_active_msp(&folded.state) => Err(CommandError::MspNotActive),
                _ => self.provision_once(new, msp.as_ref(), context).await,
            };
            match result {
                Err(error) if may_use_cache && error.is_judgement() && msp.is_some() => {}
                Err(CommandError::Busy) if began.elapsed() < DECIDE_AGAIN_FOR => {}
                other => return other,
            }
            may_use_cache = false;
        }
    }

    async fn tenant_as_of(&self, id: TenantId, may_use_cache: bool) -> Result<Arc<Folded<Tenant>>, CommandError> {
        let now = match self.tenants.get(&id) {
            Some(remembered) if may_use_cache => return Ok(remembered),
            Some(remembered) => Arc::new(self.follow_tenant(id, &remembered).await?),
            None => Arc::new(self.load_tenant(id).await?),
        };
        self.keep_tenant(id, Arc::clone(&now));
        Ok(now)
    }

    async fn provision_once(
        &self,
        new: &NewTenant,
        msp: Option<&(TenantId, Arc<Folded<Tenant>>)>,
        context: &CommandContext,
    ) -> Result<Committed, CommandError> {
        let at = self.log.clock().now();
        let id = new.account.tenant_id;
        let provision = tenant::Command::Provision { account: new.account.clone(), at };
        let tenant = Folded::<Tenant>::default().decide(provision)?;
        let administrator_id = AdministratorId::from_uuid(Uuid::now_v7());
        let administrator = Folded::<Administrator>::default().decide(new.invite(at))?;

        let mut changes = Changes::new(&self.log, context);
        changes.decided(id.as_uuid(), id, 0, &tenant)?;
        changes.decided(administrator_id.as_uuid(), id, 0, &administrator)?;
        if let Some((msp, folded)) = msp {
            changes.unchanged(msp.as_uuid(), folded);
        }
        let append = changes.answered_by::<Tenant>(id.as_uuid(), tenant.after.sequence);
        let position = self.append(append, context).await?.last;
        self.tenants.insert(id, Arc::new(tenant.after.clone()));
        Ok(Committed { tenant_id: id, tenant: tenant.after, position: Some(position), at })
    }
}

pub(super) fn is_active_msp(tenant: &Tenant) -> bool {
    tenant.stage() == tenant::Stage::Active && tenant.account().is_some_and(|account| account.kind == TenantKind::Msp)
}

impl NewTenant {
    fn invite(&self, at: DateTime<Utc>) -> administrator::Command {
        administrator::Command::Invite {
            tenant_id: self.account.tenant_id,
            display_name: Personal::Known(self.administrator_name.clone()),
            email: Personal::Known(self.administrator_email.clone()),
            role: AdministratorRole::PrimeAdmin,
            at,
        }
    }
}
