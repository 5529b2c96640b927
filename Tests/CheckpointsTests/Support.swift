import Checkpoints
import Fabric
import Foundation
import Storage

/// A fresh directory, removed afterwards.
func withDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
  let path = NSTemporaryDirectory() + "inverse-checkpoints-\(UUID().uuidString)"
  try Files.createDirectory(path)
  defer { try? Files.remove(path) }
  return try body(path)
}

/// The tensors of a little model, of which one rank holds its share.
///
/// Every number says where it belongs, and `salt` tells one model from the next.
@safe
final class ToyTensors {
  static let users = 10
  static let items = 7
  static let factors = 5
  private let storage: UnsafeMutablePointer<Float>
  private let counter: UnsafeMutablePointer<Int64>
  private let group: any ProcessGroup
  /// Rows lie further apart in memory than they are long.
  private let stride = 8

  static func value(_ tensor: Int, _ row: Int, _ column: Int, salt: Int) -> Float {
    Float(1000 * tensor + 10 * row + column) + Float(salt) / 4
  }

  init(_ group: any ProcessGroup, salt: Int) {
    self.group = group
    unsafe storage = .allocate(capacity: 4 * Self.users * stride)
    unsafe storage.initialize(repeating: .nan, count: 4 * Self.users * stride)
    unsafe counter = .allocate(capacity: 1)
    unsafe counter.initialize(to: Int64(salt))
    for (tensor, count) in [Self.users, Self.items, Self.users, Self.factors].enumerated() {
      let rows = tensor == 3 ? 0..<count : self.rows(count)
      for (place, row) in rows.enumerated() {
        let start = unsafe tensor == 3 ? base(tensor) + row : base(tensor) + place * stride
        for column in 0..<(tensor == 3 ? 1 : Self.factors) {
          unsafe start[column] = Self.value(tensor, row, column, salt: salt)
        }
      }
    }
  }

  deinit {
    unsafe storage.deallocate()
    unsafe counter.deallocate()
  }

  func rows(_ count: Int) -> Range<Int> {
    group.rank * count / group.size..<(group.rank + 1) * count / group.size
  }

  private func base(_ tensor: Int) -> UnsafeMutablePointer<Float> {
    unsafe storage + tensor * Self.users * stride
  }

  private func table(_ name: String, _ tensor: Int, _ count: Int) -> TensorSlab {
    unsafe TensorSlab(
      name: name, shape: [count, Self.factors], rows: rows(count), stride: stride,
      base: UnsafePointer(base(tensor)))
  }

  /// In no particular order.
  var model: [TensorSlab] {
    unsafe [
      table("user.factors", 0, Self.users), table("item.factors", 1, Self.items),
      TensorSlab(
        replicated: "dense.bias", shape: [Self.factors], on: group,
        base: UnsafePointer(base(3))),
    ]
  }

  var optimizer: [TensorSlab] {
    unsafe [
      table("user.factors.moment", 2, Self.users),
      TensorSlab(
        replicated: "steps", shape: [1], on: group, base: UnsafePointer(counter)),
    ]
  }
}

extension CheckpointStore {
  /// Saves a toy model whose salt is its step unless said otherwise.
  @discardableResult
  func saveToy(
    _ step: Int, salt: Int? = nil, publishing staged: StagedBest? = nil,
    group: any ProcessGroup = SoloGroup()
  ) throws -> SavedCheckpoint {
    let salt = salt ?? step
    let tensors = ToyTensors(group, salt: salt)
    // Only what rank 0 passes counts.
    let state = Array("{\"salt\": \(group.rank == 0 ? salt : -1)}\n".utf8)
    return try withExtendedLifetime(tensors) {
      try save(
        step: step, model: tensors.model, optimizer: tensors.optimizer, state: state,
        metadata: ["backbone": "gmf"], publishing: staged, group: group)
    }
  }

  @discardableResult
  func saveToyBest(_ step: Int, group: any ProcessGroup = SoloGroup()) throws -> SavedCheckpoint {
    try publish(try stageToyBest(step, group: group), group: group)
  }

  /// Saves the best model as if a process had died before it removed the one before.
  func saveToyBestKeepingOld(_ step: Int) throws {
    let old = "\(directory)/.best.old"
    try Files.rename(old, to: "\(directory)/aside")
    try saveToyBest(step)
    try Files.rename("\(directory)/aside", to: old)
  }

  func stageToyBest(_ step: Int, group: any ProcessGroup = SoloGroup()) throws -> StagedBest {
    let tensors = ToyTensors(group, salt: step)
    return try withExtendedLifetime(tensors) {
      try stageBest(
        step: step, model: tensors.model, state: Array("{\"salt\": \(step)}\n".utf8),
        group: group)
    }
  }

  /// The newest checkpoint of the store seen by one rank, and what was refused on the way.
  func newest() throws -> (checkpoint: Checkpoint?, warnings: [String]) {
    var warnings: [String] = []
    let checkpoint = try openNewest(group: SoloGroup()) { warnings.append($0) }
    return (checkpoint, warnings)
  }

  func best() throws -> Checkpoint? {
    try openBest(group: SoloGroup()) { _ in }
  }
}

extension Checkpoint {
  /// The salt of the toy model that this checkpoint holds, or `nil` when any part differs.
  func salt() throws -> Int? {
    let text = String(decoding: state, as: UTF8.self)
    guard let salt = Int(text.dropFirst(9).dropLast(2)) else { return nil }
    var tensors = [
      (model, "user.factors", 0, ToyTensors.users), (model, "item.factors", 1, ToyTensors.items),
    ]
    if let optimizer {
      tensors.append((optimizer, "user.factors.moment", 2, ToyTensors.users))
      guard try optimizer.values("steps", as: Int64.self) == [Int64(salt)] else { return nil }
    }
    for (reader, name, tensor, rows) in tensors {
      let expected = (0..<rows).flatMap { row in
        (0..<ToyTensors.factors).map { ToyTensors.value(tensor, row, $0, salt: salt) }
      }
      guard try reader.values(name) == expected else { return nil }
    }
    let dense = (0..<ToyTensors.factors).map { ToyTensors.value(3, $0, 0, salt: salt) }
    return try model.values("dense.bias") == dense ? salt : nil
  }
}

/// Runs `body` on ranks that are threads; its errors are returned and not thrown.
func onRanks(
  _ count: Int, _ body: @escaping @Sendable (any ProcessGroup) throws -> Void
) throws -> [Failure?] {
  try LocalGroup.run(ranks: count) { group in
    do {
      try body(group)
      return nil
    } catch let failure as Failure {
      return failure
    }
  }
}
