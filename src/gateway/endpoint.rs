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

    /// How many bytes a response may have. Most pages describe the site and stay below 20 kB; the longest recorded one
    /// has 43 kB. The others have an entry for each device, sized here for 600 inverters, more than any gateway serves.
    pub const fn limit(self) -> usize {
        match self {
            // 151 bytes for each inverter.
            Self::Inverters => 256 << 10,
            // 700 to 1160 bytes for each inverter and battery, removed ones included.
            Self::Inventory => 1 << 20,
            // 2200 bytes for each inverter; the firmware stops at 50 of them today.
            Self::DeviceData => 512 << 10,
            // 1160 bytes for each battery; the tariff has 13 kB with one season.
            Self::EnsembleInventory | Self::Tariff => 128 << 10,
            Self::Meters
            | Self::MeterReadings
            | Self::Production
            | Self::Energy
            | Self::EnsemblePower
            | Self::EnsembleSecctrl
            | Self::DryContacts
            | Self::DryContactSettings
            | Self::EnsembleGenerator
            | Self::LiveData
            | Self::ProductionJson
            | Self::ProductionHtml => 64 << 10,
        }
    }
}
