//! A cloud, a gateway and a sun for the demo and the tests.
