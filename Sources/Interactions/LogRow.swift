/// The part of a dataset that a row belongs to.
package enum Split: UInt8, Sendable, CaseIterable {
  case train
  case valid
  case test

  /// As in messages and file names.
  package var name: String {
    switch self {
    case .train: "train"
    case .valid: "valid"
    case .test: "test"
    }
  }
}

/// A row of the log on its way into a shard: 16 bytes in a scratch file.
struct LogRow: BitwiseCopyable {
  /// What a row says of its pair.
  enum Label: UInt8 {
    case negative
    case positive
    /// An exposure without reaction.
    case none
    /// Taken out of the dataset.
    case discarded
  }

  var user: UInt32
  var item: UInt32
  /// Bits 0–1 split, 2–3 label, 4 whether the pair may be held out, 8–63 the line.
  private var tag: UInt64

  init(user: Int, item: Int, split: Split, label: Label, line: Int, mayBeHeldOut: Bool = false) {
    self.user = UInt32(truncatingIfNeeded: user)
    self.item = UInt32(truncatingIfNeeded: item)
    tag =
      UInt64(truncatingIfNeeded: line) << 8 | UInt64(mayBeHeldOut ? 16 : 0)
      | UInt64(label.rawValue) << 2 | UInt64(split.rawValue)
  }

  var split: Split {
    get { Split(rawValue: UInt8(truncatingIfNeeded: tag & 3)) ?? .train }
    set { tag = tag & ~3 | UInt64(newValue.rawValue) }
  }

  var label: Label {
    get { Label(rawValue: UInt8(truncatingIfNeeded: tag >> 2 & 3)) ?? .none }
    set { tag = tag & ~12 | UInt64(newValue.rawValue) << 2 }
  }

  /// A row of train whose pair may also be in valid or test: it is withheld if it is. With a split by
  /// hash an exposure whose pair falls there, with leave-one-out every row.
  var mayBeHeldOut: Bool { tag & 16 != 0 }
  var line: Int { Int(truncatingIfNeeded: tag >> 8) }

  var isTraining: Bool { tag & 3 == 0 && label != .discarded }
  var isLabeled: Bool { tag >> 2 & 3 < 2 }
}
