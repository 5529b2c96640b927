import Storage

/// The mapped files of a shard; columns keep it alive.
final class ShardFiles: Sendable {
  let files: [Column: MappedFile]

  init(_ files: [Column: MappedFile]) { self.files = files }

  /// A column as its elements.
  func elements<Element: BitwiseCopyable>(_ column: Column) -> UnsafeBufferPointer<Element> {
    guard let file = files[column] else { return unsafe UnsafeBufferPointer(start: nil, count: 0) }
    return unsafe file.readOnly.bindMemory(to: Element.self)
  }
}

/// Rows with labels: three columns of one length.
///
/// Ids were checked when the shard was opened, so loops need not. The buffers are mapped files
/// that this value keeps alive: safe to use as long as a copy of it is. Take the buffers out of a
/// loop; copying this value counts a reference.
@safe
package struct LabeledColumns: Sendable {
  package let count: Int
  /// Dense global ids.
  package nonisolated(unsafe) let users: UnsafeBufferPointer<UInt32>
  package nonisolated(unsafe) let items: UnsafeBufferPointer<UInt32>
  /// 0 or 1.
  package nonisolated(unsafe) let labels: UnsafeBufferPointer<UInt8>
  private let owner: ShardFiles
  private let files: [Column]

  init(_ owner: ShardFiles, users: Column, items: Column, labels: Column) {
    self.owner = owner
    files = [users, items, labels]
    unsafe self.users = unsafe owner.elements(users)
    unsafe self.items = unsafe owner.elements(items)
    unsafe self.labels = unsafe owner.elements(labels)
    count = unsafe self.users.count
  }

  /// Gives the memory of what was read so far back to the system; reading again is allowed.
  package func release() {
    for column in files { owner.files[column]?.release() }
  }
}

/// Items by user, rows of variable length (CSR).
///
/// Offsets and ids were checked when the shard was opened. This value keeps the buffers alive: safe
/// to use as long as a copy of it is.
@safe
package struct CompressedRows: Sendable {
  /// Number of rows: the users of the shard.
  package let count: Int
  /// Row `u` is `items[offsets[u] ..< offsets[u + 1]]`; `count + 1` elements.
  package nonisolated(unsafe) let offsets: UnsafeBufferPointer<UInt64>
  /// Dense global ids.
  package nonisolated(unsafe) let items: UnsafeBufferPointer<UInt32>
  /// Keeps the buffers alive.
  private let owner: any AnyObject & Sendable

  init(_ owner: ShardFiles, offsets: Column, items: Column) {
    unsafe self.init(
      owner, offsets: owner.elements(offsets), items: owner.elements(items))
  }

  /// Rows over buffers that `owner` keeps alive and that were checked.
  init(
    _ owner: any AnyObject & Sendable, offsets: UnsafeBufferPointer<UInt64>,
    items: UnsafeBufferPointer<UInt32>
  ) {
    self.owner = owner
    unsafe self.offsets = unsafe offsets
    unsafe self.items = unsafe items
    count = offsets.count - 1
  }

  /// The items of a user.
  ///
  /// - Parameter localUser: The dense id minus the first of the shard; not checked in release.
  package subscript(localUser: Int) -> UnsafeBufferPointer<UInt32> {
    let start = unsafe Int(truncatingIfNeeded: offsets[localUser])
    let end = unsafe Int(truncatingIfNeeded: offsets[localUser + 1])
    guard let base = unsafe items.baseAddress else {
      return unsafe UnsafeBufferPointer(start: nil, count: 0)
    }
    return unsafe UnsafeBufferPointer(start: base + start, count: end - start)
  }
}
