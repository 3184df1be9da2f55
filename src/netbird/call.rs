//! What this dialect adds to a request: `?account=`, and links by the account's id.

use actix_web::{HttpRequest, Resource};
use tenure_aggregates::{TenantId, TenantKind};

use super::errors::Refusal;
use crate::app::App;
use crate::dispatch::LinkKey;
use crate::http::call::{self, Dialect};
use crate::http::query::Query;
use crate::identity::{Action, Denied, Principal, Role};

pub use crate::http::call::Operation;

/// The NetBird MSP dialect.
pub struct Netbird;

impl Dialect for Netbird {
    type Error = Refusal;
    const NAME: &'static str = "netbird";

    fn not_found() -> Refusal {
        Refusal::not_found()
    }

    fn method_not_allowed(methods: &'static str) -> Refusal {
        Refusal::method_not_allowed(methods)
    }

    fn internal() -> Refusal {
        Refusal::internal()
    }

    fn views_behind() -> Refusal {
        Refusal::unavailable("the views are behind the position asked for")
    }

    /// In the account that `?account=` names, if the caller is let into it. Other parameters mean nothing, as NetBird has it.
    fn acting(app: &App, principal: Principal, request: &HttpRequest) -> Result<Principal, Refusal> {
        let Some(account) = Query::tolerant(request)?.take::<String>("account", "a tenant's id")? else {
            return Ok(principal);
        };
        let account: TenantId = account.parse().map_err(|_| Refusal::not_found())?;
        if account == principal.tenant {
            return Ok(principal);
        }
        let role = role_in(app, &principal, account).ok_or_else(Refusal::not_found)?;
        let mut acting = principal;
        (acting.role, acting.tenant, acting.kind) = (role, account, app.identity.gate().check(account)?);
        Ok(acting)
    }
}

/// What the caller is in an account that its MSP manages, by what it may do to the link.
fn role_in(app: &App, principal: &Principal, account: TenantId) -> Option<Role> {
    let identity = &app.identity;
    let kind = identity.gate().resource(account)?.kind;
    if !identity.gate().stage(account)?.is_present() {
        return None;
    }
    let may =
        |action| identity.permits(principal, action, principal.tenant) || identity.permits(principal, action, account);
    if kind != (TenantKind::Customer { msp: principal.tenant }) {
        None
    } else if may(Action::UpdateLink) {
        Some(Role::Admin)
    } else {
        may(Action::ReadLink).then_some(Role::ReadOnly)
    }
}

/// A request whose caller may do `O` to some link.
pub type Call<O> = call::Call<Netbird, O>;

impl<O: Operation> Call<O> {
    /// The account in the path.
    fn account(&self) -> Result<TenantId, Refusal> {
        self.request.match_info().query("id").parse().map_err(|_| Refusal::not_found())
    }

    /// The link to the account in the path, if the caller may do this to it: as one who runs the MSP, or by a group. What
    /// the caller may not even see looks absent; whether there is such a link is left to the log.
    pub fn link(&self) -> Result<LinkKey, Refusal> {
        let (account, identity) = (self.account()?, &self.app.identity);
        let may = |action, tenant| identity.permits(&self.principal, action, tenant);
        if may(O::ACTION, self.principal.tenant) || may(O::ACTION, account) {
            return Ok(LinkKey { msp: self.principal.tenant, account });
        }
        if may(Action::ReadLink, account) {
            return Err(Denied::Forbidden { role: self.principal.role, action: O::ACTION }.into());
        }
        Err(Refusal::not_found())
    }

    /// The caller's own account, which is the one in the path; any other looks absent.
    pub fn own_account(&self) -> Result<TenantId, Refusal> {
        let account = self.account()?;
        let permitted =
            account == self.principal.tenant && self.app.identity.permits(&self.principal, O::ACTION, account);
        if permitted { Ok(account) } else { Err(Refusal::not_found()) }
    }
}

/// A path of this dialect, see [`call::at`].
pub fn at(path: &str, methods: &'static str) -> Resource {
    call::at::<Netbird>(path, methods)
}
