//! Which endpoint gives what for this gateway, and the oddities of each firmware.
