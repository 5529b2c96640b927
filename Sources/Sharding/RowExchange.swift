package import Kernels

/// Rows of one table with their row numbers, as one rank sees them; valid until the next call of
/// the exchange that made it.
@safe
package struct KeyedRows {
  /// `(count)`, ascending.
  package let keys: UnsafePointer<UInt32>
  /// `(count, stride)`.
  package let rows: UnsafeMutablePointer<Float>
  package let count: Int

  package init(keys: UnsafePointer<UInt32>, rows: UnsafeMutablePointer<Float>, count: Int) {
    unsafe self.keys = unsafe keys
    unsafe self.rows = unsafe rows
    self.count = count
  }
}

/// How gradients of item rows reach the owners of the rows, and how what owners compute reaches
/// everybody.
///
/// ``SharedExchange`` serves tables of which each machine has one copy, through memory that its
/// ranks see, and messages between machines; ``MessageExchange`` serves rows that live with their
/// owners. Both give the same bits. What they return belongs to them and is valid until their next
/// call; after warm-up no call allocates. See docs/decisions/0010-shared-memory.md and
/// docs/decisions/0013-several-machines.md.
package protocol RowExchange: AnyObject {
  /// Whether the ranks of a machine read and write one copy of the table.
  var isShared: Bool { get }

  /// Makes memory for the partial sums of one batch. A collective, called once before the first
  /// ``reduceToOwners(_:)``.
  ///
  /// - Parameter capacity: The most partial sums of this rank.
  /// - Returns: The memory, which later calls may read on behalf of other ranks.
  /// - Throws: What the group throws.
  func makePartials(capacity: Int) throws -> PartialRows

  /// Adds the partial sums of all ranks, each row where it is owned, along the shard tree.
  ///
  /// Other ranks may read `partials` until the next collective of the group, so between this call
  /// or ``spread(_:)`` and the next writing of partial sums there must be one.
  ///
  /// - Parameter partials: This rank's partial sums, ascending, in the memory of
  ///   ``makePartials(capacity:)``.
  /// - Returns: The complete sums of the rows this rank owns that any rank touched. Until
  ///   ``spread(_:)`` they may be changed in place.
  /// - Throws: What the group throws.
  func reduceToOwners(_ partials: PartialRows) throws -> KeyedRows

  /// Gives every rank the rows that any rank passes.
  ///
  /// - Parameter own: What ``reduceToOwners(_:)`` returned.
  /// - Returns: The rows of all ranks, ascending, in one or more lists.
  /// - Throws: What the group throws.
  func spread(_ own: KeyedRows) throws -> [KeyedRows]

  /// Those of the rows last spread that this rank writes when all copies of the table change in the
  /// same way: ranks that share a copy have each their part.
  var writtenRows: [KeyedRows] { get }

  /// Says that this rank has changed ``writtenRows`` in the table. Reading needs ``settle()``
  /// first.
  ///
  /// - Throws: What the group throws.
  func announce() throws

  /// Brings all copies of the table up to date after the owners changed some rows. Reading needs
  /// ``settle()`` first.
  ///
  /// - Parameters:
  ///   - keys: Ascending rows that this rank owns and changed.
  ///   - count: Rows.
  ///   - table: Holds all rows.
  /// - Throws: What the group throws.
  func publish(keys: UnsafePointer<UInt32>, count: Int, of table: RowTable) throws

  /// Returns when what the owners published can be read. A collective.
  ///
  /// - Throws: What the group throws.
  func settle() throws

  /// Fetches rows, and optionally beside each the row of a second set that its owner holds.
  ///
  /// - Parameters:
  ///   - keys: `(count)`: ascending rows of the table.
  ///   - count: Rows to fetch.
  ///   - table: Holds at least the rows this rank owns.
  ///   - companion: Rows that this rank owns; a row that is not among them counts as zero.
  ///   - target: `(count, stride)`, overwritten.
  ///   - companionTarget: `(count, stride)`, overwritten; with `companion`.
  /// - Throws: What the group throws.
  func fetch(
    keys: UnsafePointer<UInt32>, count: Int, from table: RowTable, companion: KeyedRows?,
    into target: UnsafeMutablePointer<Float>, companionTarget: UnsafeMutablePointer<Float>?
  ) throws
}
