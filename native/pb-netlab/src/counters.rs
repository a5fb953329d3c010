//! What happened to the packets of one direction.

use std::fmt::Write;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Read from the sending side.
    pub packets: u64,
    pub bytes: u64,
    /// Written to the receiving side.
    pub delivered_packets: u64,
    pub delivered_bytes: u64,
    pub lost: u64,
    pub dropped_by_queue: u64,
    pub dropped_by_mtu: u64,
    /// Came out after a packet that went in later.
    pub reordered: u64,
    pub duplicated: u64,
    pub corrupted: u64,
    pub max_queue_bytes: u64,
    /// Time in the queue, summed over the packets that were not dropped by it: divided by their number, the standing queue.
    pub queued_us: u64,
    /// The emulator's own failings. Above 0, the link was not what was asked: the machine was too slow.
    pub dropped_by_ring: u64,
    pub failed_writes: u64,
    /// The most that a departure was late by the emulator's fault.
    pub max_late_us: u64,
    /// Departures more than a millisecond late.
    pub late_packets: u64,
    /// The most that a packet waited for the receiving host to take it, as in a NIC's ring: the host was slower than its link.
    pub max_held_us: u64,
}

impl Counters {
    /// What is a maximum and no sum begins again.
    pub fn forget_peaks(&mut self) {
        self.max_queue_bytes = 0;
        self.max_late_us = 0;
        self.max_held_us = 0;
    }

    /// One JSON object.
    pub fn to_json(&self) -> String {
        let fields = [
            ("packets", self.packets),
            ("bytes", self.bytes),
            ("deliveredPackets", self.delivered_packets),
            ("deliveredBytes", self.delivered_bytes),
            ("lost", self.lost),
            ("droppedByQueue", self.dropped_by_queue),
            ("droppedByMtu", self.dropped_by_mtu),
            ("reordered", self.reordered),
            ("duplicated", self.duplicated),
            ("corrupted", self.corrupted),
            ("maxQueueBytes", self.max_queue_bytes),
            ("queuedUs", self.queued_us),
            ("droppedByRing", self.dropped_by_ring),
            ("failedWrites", self.failed_writes),
            ("maxLateUs", self.max_late_us),
            ("latePackets", self.late_packets),
            ("maxHeldUs", self.max_held_us),
        ];
        let mut text = String::from("{");
        for (index, (name, value)) in fields.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}\"{name}\":{value}");
        }
        text + "}"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Value, parse};

    #[test]
    fn counters_are_json() {
        let counters = Counters {
            lost: 3,
            ..Counters::default()
        };
        let Ok(Value::Object(fields)) = parse(&counters.to_json()) else {
            panic!("no object");
        };
        assert_eq!(fields.get("lost"), Some(&Value::Number(3.0)));
        assert_eq!(fields.len(), 17);
    }
}
