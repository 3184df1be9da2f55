//! Tenants and people as the tests know them: commands are decided on real aggregates and appended to the real log.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent;
use serde::Serialize;
use serde_json::Value;
use tenure_aggregates::access_token::{self, Granter, LastUse, NewToken, last_use};
use tenure_aggregates::tenant::{Command, MonthlyUsage, NewAccount, Stage};
use tenure_aggregates::values::{
    EmailAddress, Groups, PersonName, Reason, Retention, SubjectId, TokenHash, TokenLifetime, UsagePeriod, UserId,
};
use tenure_aggregates::{
    AccessToken, AccessTokenId, Administrator, AdministratorId, AdministratorRole, Decider, Folded, Link, LinkId,
    Personal, Role, Subscription, Tenant, TenantId, TenantKind, administrator, link, subscription,
};
use tenure_event_log::{Append, EventLog, Json, Lane, MetadataValue, NewEvent, Position, StreamAppend, StreamId};
use uuid::Uuid;

pub const EMAIL: &str = "ada.lovelace@personal.example";
pub const PERSON: &str = "Ada Lovelace";

pub struct World {
    pub log: EventLog,
    pub msp: TenantId,
    pub tenants: BTreeMap<TenantId, Folded<Tenant>>,
    pub administrators: BTreeMap<AdministratorId, (TenantId, Folded<Administrator>)>,
    pub links: BTreeMap<TenantId, Folded<Link>>,
    pub tokens: BTreeMap<AccessTokenId, (TenantId, Folded<AccessToken>, Folded<LastUse>)>,
    pub head: Position,
    random: u64,
}

impl World {
    /// A log with one MSP in it.
    pub async fn new(log: &EventLog) -> Self {
        let msp = TenantId::from_uuid(Uuid::now_v7());
        let mut world = Self {
            log: log.clone(),
            msp,
            tenants: BTreeMap::new(),
            administrators: BTreeMap::new(),
            links: BTreeMap::new(),
            tokens: BTreeMap::new(),
            head: Position::START,
            random: 0x2545_f491_4f6c_dd1d,
        };
        world.provision_as(msp, TenantKind::Msp).await;
        world
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.log.clock().now()
    }

    /// A customer of the world's MSP.
    pub async fn provision(&mut self) -> TenantId {
        let tenant = TenantId::from_uuid(Uuid::now_v7());
        self.provision_as(tenant, TenantKind::Customer { msp: self.msp }).await;
        tenant
    }

    async fn provision_as(&mut self, tenant_id: TenantId, kind: TenantKind) {
        let account = NewAccount {
            tenant_id,
            kind,
            short_code: format!("t{}", &tenant_id.as_uuid().simple().to_string()[14..]).parse().unwrap(),
            display_name: "Acme Corp".parse().unwrap(),
            contact_email: Personal::Known(EmailAddress::parse(EMAIL).unwrap()),
            max_users: 500.try_into().unwrap(),
            max_resources: 200.try_into().unwrap(),
            modules: vec!["ssh".parse().unwrap(), "ad".parse().unwrap()].try_into().unwrap(),
        };
        let at = self.now();
        self.command(tenant_id, Command::Provision { account, at }).await.unwrap();
    }

    /// Decides and appends; `None` if it was refused or changed nothing.
    pub async fn command(&mut self, tenant: TenantId, command: Command) -> Option<Position> {
        let before = self.tenants.get(&tenant).cloned().unwrap_or_default();
        let decision = before.decide(command).ok().filter(|decision| !decision.events.is_empty())?;
        let erased = if decision.after.state.stage() == Stage::Deleted { vec![tenant.as_uuid()] } else { Vec::new() };
        let stream = StreamId::new(Tenant::TYPE, tenant.to_string());
        let events = decision.events.iter().map(|event| new_event(event.name(), event));
        let append =
            StreamAppend { stream, tenant_id: tenant.as_uuid(), expected: before.sequence, events: events.collect() };
        let mut append = Append::new(Uuid::now_v7(), vec![append]);
        append.erase_tenants = erased;
        self.tenants.insert(tenant, decision.after);
        Some(self.append(append).await)
    }

    pub async fn suspend(&mut self, tenant: TenantId) -> Option<Position> {
        let at = self.now();
        self.command(tenant, Command::Suspend { reason: Some(Reason::parse("unpaid").unwrap()), at }).await
    }

    pub async fn reinstate(&mut self, tenant: TenantId) -> Option<Position> {
        let at = self.now();
        self.command(tenant, Command::Reinstate { at }).await
    }

    pub async fn deprovision(&mut self, tenant: TenantId) -> Option<Position> {
        let confirm_short_code = self.tenants[&tenant].state.account()?.short_code.to_string();
        let (retention, at) = (Retention::from_days(0).unwrap(), self.now());
        self.command(tenant, Command::Deprovision { confirm_short_code, reason: None, retention, at }).await
    }

    pub async fn restore(&mut self, tenant: TenantId) -> Option<Position> {
        // At the moment of the request, which is the last one with no retention.
        let Tenant::Deprovisioning { since: at, .. } = self.tenants[&tenant].state else { return None };
        self.command(tenant, Command::Restore { reason: Reason::parse("a mistake").unwrap(), at }).await
    }

    pub async fn delete(&mut self, tenant: TenantId) -> Option<Position> {
        let at = self.now() + TimeDelta::days(1);
        self.command(tenant, Command::Delete { release_short_code: false, at }).await
    }

    pub async fn report(&mut self, tenant: TenantId, resources: u32, grants: u32) -> Option<Position> {
        let at = self.now();
        self.command(tenant, Command::ReportUsage { resources, grants, at }).await
    }

    /// Many reports in one append.
    pub async fn report_often(&mut self, tenant: TenantId, times: u32) {
        let at = self.now();
        self.together(tenant, (1..=times).map(|resources| Command::ReportUsage { resources, grants: 1, at })).await;
    }

    /// A suspension and a reinstatement, again and again, in one append: two billing events each time.
    pub async fn toggle(&mut self, tenant: TenantId, times: u32) {
        let at = self.now();
        let reason = Some(Reason::parse("unpaid").unwrap());
        let both = [Command::Suspend { reason, at }, Command::Reinstate { at }];
        self.together(tenant, (0..times).flat_map(|_| both.clone())).await;
    }

    async fn together(&mut self, tenant: TenantId, commands: impl Iterator<Item = Command>) {
        let mut tenant_now = self.tenants[&tenant].clone();
        let (expected, mut events) = (tenant_now.sequence, Vec::new());
        for command in commands {
            let decision = tenant_now.decide(command).unwrap();
            events.extend(decision.events.iter().map(|event| new_event(event.name(), event)));
            tenant_now = decision.after;
        }
        self.tenants.insert(tenant, tenant_now);
        let stream = StreamId::new(Tenant::TYPE, tenant.to_string());
        let append = StreamAppend { stream, tenant_id: tenant.as_uuid(), expected, events };
        self.append(Append::new(Uuid::now_v7(), vec![append])).await;
    }

    pub async fn bill(&mut self, tenant: TenantId, period: UsagePeriod, at: DateTime<Utc>) -> Option<Position> {
        let usage = MonthlyUsage { period, user_count: 1, resource_count: 2, grant_count: 3 };
        self.command(tenant, Command::RecordMonthlyUsage { usage, at }).await
    }

    pub async fn unlink(&mut self, tenant: TenantId) -> Option<Position> {
        let (msp, owner) = (self.msp, Personal::Known(UserId::parse(EMAIL).unwrap()));
        let owner_id = SubjectId::parse("~owner").unwrap();
        let at = self.now();
        self.command(tenant, Command::Leave { msp, owner, owner_id, at }).await
    }

    pub async fn join(&mut self, tenant: TenantId, msp: TenantId) -> Option<Position> {
        let (by, at) = (SubjectId::parse("~owner").unwrap(), self.now());
        let contact_email = Personal::Known(EmailAddress::parse(EMAIL).unwrap());
        self.command(tenant, Command::Join { msp, by, contact_email, at }).await
    }

    /// A command on the link between the world's MSP and a tenant.
    pub async fn link(&mut self, tenant: TenantId, command: link::Command) -> Option<Position> {
        let before = self.links.get(&tenant).cloned().unwrap_or_default();
        let decision = before.decide(command).ok().filter(|decision| !decision.events.is_empty())?;
        let stream = StreamId::new(Link::TYPE, LinkId::between(self.msp, tenant).to_string());
        let events = decision.events.iter().map(|event| new_event(event.name(), event));
        let (expected, events) = (before.sequence, events.collect());
        self.links.insert(tenant, decision.after);
        let append = StreamAppend { stream, tenant_id: self.msp.as_uuid(), expected, events };
        Some(self.append(Append::new(Uuid::now_v7(), vec![append])).await)
    }

    pub fn new_link(&self, tenant: TenantId, origin: link::Origin) -> link::Command {
        let link = link::NewLink {
            msp: self.msp,
            account: tenant,
            name: "My new tenant".parse().unwrap(),
            domain: "tenant.com".parse().unwrap(),
            groups: link::GroupGrants::default(),
            dns_challenge: "YXNk".parse().unwrap(),
        };
        link::Command::Create { link, origin, at: self.now() }
    }

    /// The tenant pays another price than before.
    pub async fn subscribe(&mut self, tenant: TenantId, price: &str) -> Position {
        let event = subscription::Event::Changed { price: price.parse().unwrap(), at: self.now() };
        self.intrude(Subscription::TYPE, tenant, event.name(), serde_json::to_value(&event).unwrap()).await
    }

    pub async fn invite(&mut self, tenant: TenantId) -> AdministratorId {
        let administrator = AdministratorId::from_uuid(Uuid::now_v7());
        self.administrators.insert(administrator, (tenant, Folded::default()));
        let command = administrator::Command::Invite {
            tenant_id: tenant,
            display_name: Personal::Known(PersonName::parse(PERSON).unwrap()),
            email: Personal::Known(EmailAddress::parse(EMAIL).unwrap()),
            role: AdministratorRole::PrimeAdmin,
            at: self.now(),
        };
        self.administer(administrator, command).await.unwrap();
        administrator
    }

    pub async fn accept(&mut self, administrator: AdministratorId) -> Option<Position> {
        let command = administrator::Command::Accept { max_users: 500.try_into().unwrap(), at: self.now() };
        self.administer(administrator, command).await
    }

    pub async fn remove(&mut self, administrator: AdministratorId) -> Option<Position> {
        let at = self.now();
        self.administer(administrator, administrator::Command::Remove { at }).await
    }

    async fn administer(&mut self, id: AdministratorId, command: administrator::Command) -> Option<Position> {
        let (tenant, before) = self.administrators[&id].clone();
        if self.tenants[&tenant].state.stage() == Stage::Deleted {
            return None;
        }
        let decision = before.decide(command).ok()?;
        let events = decision.events.iter().map(|event| new_event(event.name(), event));
        let stream = StreamId::new(Administrator::TYPE, id.to_string());
        let append =
            StreamAppend { stream, tenant_id: tenant.as_uuid(), expected: before.sequence, events: events.collect() };
        self.administrators.insert(id, (tenant, decision.after));
        Some(self.append(Append::new(Uuid::now_v7(), vec![append])).await)
    }

    /// A token that acts in the tenant, made by the MSP's administrator.
    pub async fn make_token(&mut self, tenant: TenantId) -> AccessTokenId {
        let id = AccessTokenId::from_uuid(Uuid::now_v7());
        let granter = Granter {
            id: format!("{}/anna", self.msp).parse().unwrap(),
            role: Role::MspAdmin,
            tenant_id: self.msp,
            kind: TenantKind::Msp,
            groups: Groups::default(),
            token_expires_at: None,
            tokens_alive: 0,
        };
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(id.as_uuid().as_bytes());
        let token = NewToken {
            tenant_id: tenant,
            kind: self.tenants[&tenant].state.account().unwrap().kind,
            name: "nightly sync".parse().unwrap(),
            role: Role::ReadOnly,
            groups: Groups::parse(&["b", "a"]).unwrap(),
            hash: TokenHash::from_digest(digest),
            lifetime: TokenLifetime::from_days(90).unwrap(),
        };
        self.tokens.insert(id, (tenant, Folded::default(), Folded::default()));
        let at = self.now();
        self.change_token(id, access_token::Command::Create { token: Box::new(token), granter: Box::new(granter), at })
            .await
            .unwrap();
        id
    }

    pub async fn revoke_token(&mut self, token: AccessTokenId) -> Option<Position> {
        let at = self.now();
        self.change_token(token, access_token::Command::Revoke { at }).await
    }

    /// A use of the token, so many minutes from now.
    pub async fn use_token(&mut self, token: AccessTokenId, minutes: i64) -> Option<Position> {
        let at = self.now() + TimeDelta::minutes(minutes);
        let (tenant, _, before) = &self.tokens[&token];
        let (tenant, decision) = (*tenant, before.decide(last_use::Command::Record { at }).ok()?);
        let position = self.decided::<LastUse>(token.as_uuid(), tenant, before.sequence, &decision.events).await;
        self.tokens.get_mut(&token).unwrap().2 = decision.after;
        position
    }

    async fn change_token(&mut self, token: AccessTokenId, command: access_token::Command) -> Option<Position> {
        let (tenant, before, _) = &self.tokens[&token];
        let (tenant, decision) = (*tenant, before.decide(command).ok()?);
        let position = self.decided::<AccessToken>(token.as_uuid(), tenant, before.sequence, &decision.events).await;
        self.tokens.get_mut(&token).unwrap().1 = decision.after;
        position
    }

    async fn decided<A: Decider>(
        &mut self,
        id: Uuid,
        tenant: TenantId,
        expected: u64,
        events: &[A::Event],
    ) -> Option<Position> {
        let stream = StreamId::new(A::TYPE, id.to_string());
        let new = |event: &A::Event| {
            let name = event.event_type();
            NewEvent { event_type: name.into(), ..new_event("", event) }
        };
        let events: Vec<_> = events.iter().map(new).collect();
        if events.is_empty() {
            return None;
        }
        let append = StreamAppend { stream, tenant_id: tenant.as_uuid(), expected, events };
        Some(self.append(Append::new(Uuid::now_v7(), vec![append])).await)
    }

    /// Appends an event that no aggregate decided, to a stream of its own.
    pub async fn intrude(&mut self, aggregate: &'static str, tenant: TenantId, name: &str, payload: Value) -> Position {
        let stream = StreamId::new(aggregate, Uuid::now_v7().to_string());
        let event = NewEvent { event_type: name.to_owned().into(), ..new_event("", &payload) };
        let append = StreamAppend { stream, tenant_id: tenant.as_uuid(), expected: 0, events: vec![event] };
        self.append(Append::new(Uuid::now_v7(), vec![append])).await
    }

    async fn append(&mut self, append: Append) -> Position {
        self.head = self.log.append(append, Lane::Foreground).await.unwrap().last;
        self.head
    }

    /// One step of some tenant's life, whichever; refused ones are none.
    pub async fn something(&mut self) {
        let customers: Vec<TenantId> = self.tenants.keys().copied().filter(|tenant| *tenant != self.msp).collect();
        let people: Vec<AdministratorId> = self.administrators.keys().copied().collect();
        let (Some(tenant), Some(person)) = (self.choose(&customers), self.choose(&people)) else {
            let tenant = self.provision().await;
            self.invite(tenant).await;
            return;
        };
        match self.draw(19) {
            0 | 1 => drop(self.provision().await),
            2 => drop(self.suspend(tenant).await),
            3 => drop(self.reinstate(tenant).await),
            4 => drop(self.deprovision(tenant).await),
            5 => drop(self.restore(tenant).await),
            6 => drop(self.delete(tenant).await),
            7 => {
                let (resources, grants) = (self.draw(50), self.draw(50));
                self.report(tenant, resources, grants).await;
            }
            8 => {
                if self.tenants[&tenant].state.stage() != Stage::Deleted {
                    self.invite(tenant).await;
                }
            }
            9 | 10 => drop(self.accept(person).await),
            11 => {
                self.unlink(tenant).await;
                self.join(tenant, self.msp).await;
            }
            12 => drop(self.unlink(tenant).await),
            13 => drop(self.subscribe(tenant, "price_1").await),
            14 => drop(self.link_somehow(tenant).await),
            15 => {
                let kind = self.tenants[&tenant].state.account().unwrap().kind;
                if kind == (TenantKind::Customer { msp: self.msp }) {
                    self.make_token(tenant).await;
                }
            }
            16 | 17 => {
                let tokens: Vec<AccessTokenId> = self.tokens.keys().copied().collect();
                let Some(token) = self.choose(&tokens) else { return };
                let minutes = i64::from(self.draw(20));
                match minutes {
                    0..5 => drop(self.revoke_token(token).await),
                    _ => drop(self.use_token(token, minutes).await),
                }
            }
            _ => drop(self.remove(person).await),
        }
    }

    async fn link_somehow(&mut self, tenant: TenantId) -> Option<Position> {
        let at = self.now();
        let command = match self.draw(7) {
            0 => self.new_link(tenant, link::Origin::New),
            1 => self.new_link(tenant, link::Origin::Existing),
            2 => link::Command::Verify { proof: link::Proof::Found, at },
            3 => link::Command::Invite { at },
            4 => link::Command::Accept { at },
            5 => link::Command::Decline { at },
            _ => link::Command::Unlink { at },
        };
        self.link(tenant, command).await
    }

    fn choose<T: Copy>(&mut self, among: &[T]) -> Option<T> {
        let count = u32::try_from(among.len()).unwrap();
        (count > 0).then(|| among[self.draw(count) as usize])
    }

    /// A number below `end`, the same ones in every run.
    fn draw(&mut self, end: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        u32::try_from(self.random % u64::from(end)).unwrap()
    }
}

fn new_event(name: &'static str, payload: &impl Serialize) -> NewEvent {
    let metadata = BTreeMap::from([("actor".to_owned(), MetadataValue::Plain("a test".to_owned()))]);
    NewEvent { event_type: name.into(), event_version: "1".into(), payload: Json::of(payload).unwrap(), metadata }
}
