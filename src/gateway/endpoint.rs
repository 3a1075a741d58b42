//! The pages of a gateway that are read, and what they cost it.

/// A page of the gateway. Native handlers answer in under 0.1 s, the pages of the slow web application take
/// 0.7 to 11 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Which meters there are and whether they work.
    Meters,
    /// The meters' values, about a second old.
    MeterReadings,
    /// Production: power and lifetime energy.
    Production,
    /// Each inverter's last report.
    Inverters,
    /// Each device in detail, cut at 50.
    DeviceData,
    /// Production and consumption by inverters and by meters.
    Energy,
    /// Batteries, system controller, collar.
    EnsembleInventory,
    /// Each battery's power.
    EnsemblePower,
    /// The batteries together.
    EnsembleSecctrl,
    /// The dry contacts of the system controller.
    DryContacts,
    /// What the owner calls the loads behind the dry contacts.
    DryContactSettings,
    /// The generator.
    EnsembleGenerator,
    /// Storage settings; slow.
    Tariff,
    /// Live values, frozen unless their stream is enabled.
    LiveData,
    /// Everything of production and consumption, with each phase; slow.
    ProductionJson,
    /// Devices, among them AC batteries; slow.
    Inventory,
    /// The production page of firmware 3 and earlier, for people.
    ProductionHtml,
}

impl Endpoint {
    /// The request target.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Meters => "/ivp/meters",
            Self::MeterReadings => "/ivp/meters/readings",
            Self::Production => "/api/v1/production",
            Self::Inverters => "/api/v1/production/inverters",
            Self::DeviceData => "/ivp/pdm/device_data",
            Self::Energy => "/ivp/pdm/energy",
            Self::EnsembleInventory => "/ivp/ensemble/inventory",
            Self::EnsemblePower => "/ivp/ensemble/power",
            Self::EnsembleSecctrl => "/ivp/ensemble/secctrl",
            Self::DryContacts => "/ivp/ensemble/dry_contacts",
            Self::DryContactSettings => "/ivp/ss/dry_contact_settings",
            Self::EnsembleGenerator => "/ivp/ensemble/generator",
            Self::Tariff => "/admin/lib/tariff",
            Self::LiveData => "/ivp/livedata/status",
            Self::ProductionJson => "/production.json?details=1",
            Self::Inventory => "/inventory.json?deleted=1",
            Self::ProductionHtml => "/production",
        }
    }
}
