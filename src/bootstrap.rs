//! The first start makes the deployment's MSPs, each with the invitation of its first administrator.

use tenure_aggregates::tenant::{NewAccount, Tenant, TenantKind};
use tenure_aggregates::values::{Modules, ResourceLimit, SeatLimit};
use tenure_aggregates::{Decider, Personal};

use crate::config::MspConfig;
use crate::dispatch::{CommandContext, CommandError, Dispatcher, NewTenant, Scope, Wait};

/// Provisions the MSPs that are not there yet.
///
/// # Errors
/// The log is unavailable, or a configured short code belongs to another tenant.
pub async fn provision_msps(dispatcher: &Dispatcher, msps: &[MspConfig]) -> Result<(), CommandError> {
    for msp in msps {
        match dispatcher.read_tenant(Scope::Cell, msp.id).await {
            Ok(_) => continue,
            Err(CommandError::NotFound) => {}
            Err(error) => return Err(error),
        }
        let account = NewAccount {
            tenant_id: msp.id,
            kind: TenantKind::Msp,
            short_code: msp.short_code.clone(),
            display_name: msp.display_name.clone(),
            contact_email: Personal::Known(msp.admin_email.clone()),
            max_users: SeatLimit::DEFAULT,
            max_resources: ResourceLimit::DEFAULT,
            modules: Modules::default(),
        };
        let new = NewTenant {
            account,
            administrator_name: msp.admin_display_name.clone(),
            administrator_email: msp.admin_email.clone(),
        };
        let context = CommandContext { wait: Wait::ForViews, ..CommandContext::of_service("bootstrap") };
        match dispatcher.provision(new, context).await {
            Ok(_) => tracing::info!(tenant.id = %msp.id, "{} of the MSP is made", Tenant::TYPE),
            // Another instance that started at the same moment was first.
            Err(error) => match dispatcher.read_tenant(Scope::Cell, msp.id).await {
                Ok(_) => {}
                Err(_) => return Err(error),
            },
        }
    }
    Ok(())
}
