/// The split that each item of one user is in, one user after the other.
///
/// - Complexity: O(1) for everything; 4 bytes for each item.
struct ItemMarks {
  /// Twice the number of the user, and 1 for valid.
  private var marks: [UInt32]
  private var user: UInt32 = 0

  init(items: Int) { marks = [UInt32](repeating: 0, count: items) }

  /// Forgets all items: the next user's turn.
  mutating func clear() {
    user += 2
    guard user > UInt32.max - 2 else { return }
    for item in marks.indices { marks[item] = 0 }
    user = 2
  }

  /// Marks an item as one of train or valid; what was said of it last counts.
  mutating func mark(_ item: Int, as split: Split) {
    marks[item] = user | (split == .valid ? 1 : 0)
  }

  /// The split an item was marked with, or `nil`.
  func split(of item: Int) -> Split? {
    let mark = marks[item]
    return mark & ~1 == user ? (mark & 1 == 1 ? .valid : .train) : nil
  }
}
