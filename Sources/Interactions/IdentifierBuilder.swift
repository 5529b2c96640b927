import Storage

/// Why an external id cannot be taken.
package enum IdentifierFault: Error, Equatable, Sendable {
  case empty
  /// More than ``IdentifierBuilder/maximumLength`` bytes.
  case tooLong
  /// Digits only, and more than 2⁶³: no other program could hold it as a number.
  case overflow
  case notUTF8
  /// More ids than a dense index of 31 bits can tell apart.
  case tooMany

  /// What is wrong and what to do, for a message.
  package var explanation: String {
    switch self {
    case .empty: "is empty; every row needs one"
    case .tooLong:
      "is longer than \(IdentifierBuilder.maximumLength) bytes; is a separator missing?"
    case .overflow: "overflows: numbers go up to 2^63; put a letter in front to make it a text"
    case .notUTF8: "is not valid UTF-8; convert the file"
    case .tooMany: "is one too many: at most \(IdentifierBuilder.maximumCount) are supported"
    }
  }
}

/// A growing dictionary from external ids, arbitrary bytes, to 0, 1, 2, … by first appearance.
///
/// - Complexity: O(1) expected per look-up; about 56 bytes and the id itself in memory per id.
@safe
package final class IdentifierBuilder {
  /// The longest id in bytes.
  package static let maximumLength = 4096
  /// The most ids: dense indices fit a signed 32-bit integer.
  package static let maximumCount = Int(Int32.max)

  // A value, so that a look-up takes one check of exclusive access and not one for each field.
  private var table: IdentifierTable

  /// An empty dictionary.
  ///
  /// - Parameter limit: The most ids, smaller only in tests.
  package init(limit: Int = IdentifierBuilder.maximumCount) {
    table = IdentifierTable(limit: limit)
  }

  /// Number of ids so far.
  package var count: Int { table.count }

  /// The index of an id, which is added when it is new.
  ///
  /// - Throws: `IdentifierFault` when a new id cannot be taken.
  package func index(
    addingIfNeeded identifier: UnsafeRawBufferPointer
  ) throws(IdentifierFault) -> Int {
    unsafe try table.index(addingIfNeeded: identifier)
  }

  /// The bytes of id `index`; valid until the next id is added.
  package func identifier(_ index: Int) -> UnsafeRawBufferPointer {
    unsafe table.identifier(index)
  }

  /// The hash of id `index`, see ``IdentifierHash``.
  func hash(of index: Int) -> UInt64 { unsafe IdentifierHash.hash(table.identifier(index)) }
}

extension IdentifierBuilder {
  /// Writes the ids in another order: an offsets column, one longer than there are ids, and the
  /// bytes one after the other.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  func write(
    in order: [UInt32], offsets: String, bytes: String
  ) throws(Failure) -> (offsets: ColumnManifest, bytes: ColumnManifest) {
    var offsetColumn = try ColumnWriter<UInt64>(path: offsets)
    let text = try FileWriter(path: bytes)
    try offsetColumn.append(0)
    for index in order {
      unsafe try text.append(identifier(Int(index)))
      try offsetColumn.append(UInt64(text.count))
    }
    let count = text.count
    return (try offsetColumn.close(), ColumnManifest(bytes: count, checksum: try text.close()))
  }
}
