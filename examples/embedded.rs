//! A broker inside a program: no socket, no second process. Run it twice: what the first run does not
//! consume, the second one finds.

#![allow(clippy::print_stdout, reason = "an example says what it does")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use tidegate::{AckMode, Broker, BrokerConfig, Outcome, Outgoing, Selector, SubscribeOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args().nth(1).map(PathBuf::from);
    let directory = given.unwrap_or_else(|| std::env::temp_dir().join("tidegate-embedded"));
    let broker = Broker::open(&BrokerConfig::in_directory(directory))?;

    // A client belongs to one thread at a time; a program may have as many as it likes.
    let mut shop = broker.client();
    for number in 1..=3 {
        let order = Outgoing::text(format!("order {number}"));
        let size = if number == 2 { "large" } else { "small" };
        // Once this returns, the order is on the disk.
        shop.send("queue://orders", &order.with("size", size))?;
    }

    let mut packer = broker.client();
    let small_ones = SubscribeOptions {
        selector: Some(Selector::parse("size = 'small'")?),
        ..SubscribeOptions::new(10, AckMode::ClientIndividual)
    };
    packer.subscribe("queue://orders", small_ones)?;
    while let Some(order) = packer.receive(Duration::from_millis(100)) {
        println!("packing {}, delivery {}", order.text(), order.count);
        if order.redelivered {
            packer.accept(&order)?;
            continue;
        }
        // The order is gone and the parcel is there, or neither.
        packer.begin()?;
        packer.accept(&order)?;
        packer.send(
            "queue://parcels",
            &Outgoing::text(format!("parcel of {}", order.text())),
        )?;
        packer.commit()?;
    }

    let mut courier = broker.client();
    courier.subscribe(
        "queue://parcels",
        SubscribeOptions::new(1, AckMode::ClientIndividual),
    )?;
    if let Some(parcel) = courier.receive(Duration::from_millis(100)) {
        println!("nobody is at home for {}", parcel.text());
        courier.settle(&parcel, Outcome::Release)?;
    }

    drop((shop, packer, courier));
    broker.shutdown()?;
    Ok(())
}
