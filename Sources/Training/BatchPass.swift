import Backbones
import Fabric
import Kernels
import Sharding

/// One batch on its way through the model: rows in, reduced gradients out.
@safe
final class BatchPass {
  let batch: StepBatch
  let gradients: BatchGradients
  let reduction: DenseReduction
  private let model: Model
  private let exchange: any RowExchange
  private let clock: PhaseClock
  private let isFetching: Bool
  /// Whether partial sums have their memory, which a pass that only scores does not need.
  private var isReducing = false
  /// No batch has more partial sums: one for each item it reads and block of shards.
  private let mostPartials: Int
  private let references: AlignedBuffer<UInt32>
  private let fetched = ScratchBuffer<Float>()
  private let fetchedShifts = ScratchBuffer<Float>()
  /// The complete gradients of the item rows this rank owns, after ``reduceItems()``.
  private(set) var itemSums: KeyedRows

  /// - Parameters:
  ///   - capacity: Rows of the largest step.
  ///   - figureCount: Figures that travel with the dense gradients.
  ///   - model: The parameters.
  ///   - context: Ranks, shards and the way sums are taken.
  init(capacity: Int, figureCount: Int, model: Model, context: JobContext) {
    self.model = model
    clock = context.clock
    exchange = context.makeExchange(model)
    isFetching = context.isSharded && !exchange.isShared
    batch = StepBatch(capacity: capacity, tree: context.tree, rank: context.group.rank)
    reduction = DenseReduction(
      group: context.group, tree: context.tree, width: model.backbone.denseCount,
      figureCount: figureCount, ordered: context.isOrdered)
    gradients = unsafe BatchGradients(
      capacity: capacity, users: model.users.held.count, backbone: model.backbone,
      shardCount: context.tree.shardCount, ordered: context.isOrdered,
      denseLeaves: reduction.leaves.pointer,
      itemPartials: PartialRows(capacity: 0, stride: model.items.stride))
    let blocks = context.tree.blocks(of: context.group.rank)
    mostPartials = min(
      capacity * model.backbone.itemReferencesPerRow, model.itemCount * blocks.count)
    references = AlignedBuffer(count: capacity * model.backbone.itemReferencesPerRow)
    itemSums = unsafe KeyedRows(
      keys: gradients.itemPartials.keys.pointer, rows: gradients.itemPartials.rows.pointer,
      count: 0)
  }

  /// Item rows that the batch reads, each once, ascending.
  var itemKeys: UnsafePointer<UInt32> {
    unsafe UnsafePointer(gradients.itemSegments.segmentKeys.pointer)
  }
  var itemKeyCount: Int { gradients.itemSegments.segmentCount }
  /// User rows that the batch reads, each once, ascending.
  var userKeys: UnsafePointer<UInt32> {
    unsafe UnsafePointer(gradients.userSegments.segmentKeys.pointer)
  }
  var userKeyCount: Int { gradients.userSegments.segmentCount }

  /// Finds out which item rows the batch reads.
  func refer() {
    unsafe model.backbone.writeItemReferences(of: batch.rows, into: references.pointer)
  }

  /// Groups the batch by user and by item.
  func sort() {
    defer { clock.lap(.sample) }
    let rows = batch.rows
    refer()
    unsafe gradients.userSegments.sort(rows.users, count: rows.count, bound: model.users.held.count)
    unsafe gradients.itemSegments.sort(
      references.pointer, count: rows.count * model.backbone.itemReferencesPerRow,
      bound: model.itemCount)
  }

  /// Where the batch finds its parameters: the tables, with item rows fetched where they are not
  /// here. Call after ``sort()``.
  ///
  /// - Throws: What the exchange throws.
  func parameters() throws -> BatchParameters {
    defer { clock.lap(.exchange) }
    try exchange.settle()
    guard isFetching else { return unsafe parameters(items: nil) }
    let rows = unsafe fetched.reserve(itemKeyCount * model.items.stride)
    unsafe try exchange.fetch(
      keys: itemKeys, count: itemKeyCount, from: model.items, companion: nil, into: rows,
      companionTarget: nil)
    return unsafe parameters(items: rows)
  }

  /// As ``parameters()``, and beside each item row that had to be fetched how far it is shifted.
  ///
  /// - Parameter shifts: Of the item rows this rank owns; not read where nothing is fetched.
  /// - Returns: The parameters, and `(itemKeyCount, stride)` shifts if rows were fetched.
  /// - Throws: What the exchange throws.
  func parameters(
    shifts: KeyedRows
  ) throws -> (BatchParameters, itemShifts: UnsafePointer<Float>?) {
    defer { clock.lap(.exchange) }
    guard isFetching else { return unsafe (parameters(items: nil), nil) }
    let rows = unsafe fetched.reserve(itemKeyCount * model.items.stride)
    let itemShifts = unsafe fetchedShifts.reserve(itemKeyCount * model.items.stride)
    unsafe try exchange.fetch(
      keys: itemKeys, count: itemKeyCount, from: model.items, companion: shifts, into: rows,
      companionTarget: itemShifts)
    return unsafe (parameters(items: rows), UnsafePointer(itemShifts))
  }

  /// Gives every rank the sums of item rows, unless rows are fetched.
  ///
  /// - Throws: What the exchange throws.
  func spreadItemSums() throws -> [KeyedRows] {
    defer { clock.lap(.exchange) }
    return isFetching ? [] : try exchange.spread(itemSums)
  }

  /// Takes the virtual step on item rows wherever they are: on the one copy by their owners, on
  /// replicas by everybody. Reading needs ``settle()`` first.
  ///
  /// - Parameters:
  ///   - factor: 1 for the direct step, −1 for the inverse.
  ///   - spread: What ``spreadItemSums()`` returned.
  /// - Throws: What the exchange throws.
  func shiftItems(factor: Float, _ spread: [KeyedRows]) throws {
    func shift(_ rows: KeyedRows) {
      unsafe model.items.shift(
        factor: factor, index: rows.keys, count: rows.count, shifts: rows.rows)
    }
    guard !exchange.isShared, !isFetching else {
      shift(itemSums)
      if exchange.isShared {
        unsafe try exchange.publish(keys: itemSums.keys, count: itemSums.count, of: model.items)
      }
      return
    }
    for rows in spread { shift(rows) }
  }

  /// Returns when item rows can be read again.
  ///
  /// - Throws: What the exchange throws.
  func settle() throws {
    clock.lap(.update)
    try exchange.settle()
    clock.lap(.exchange)
  }

  /// Takes the virtual step on the copies that ``parameters(shifts:)`` fetched.
  func shiftFetched(factor: Float) {
    guard isFetching else { return }
    unsafe RowShift.shift(
      fetched.pointer, by: fetchedShifts.pointer, factor: factor,
      count: itemKeyCount * model.items.stride)
  }

  private func parameters(items: UnsafePointer<Float>?) -> BatchParameters {
    let users = unsafe WeightedProduct.Side(
      base: model.users.weights.pointer, index: batch.users.pointer)
    let items =
      if let items = unsafe items {
        unsafe WeightedProduct.Side(base: items, index: gradients.itemSegments.segmentOfPosition)
      } else {
        unsafe WeightedProduct.Side(base: model.items.weights.pointer, index: references.pointer)
      }
    return unsafe BatchParameters(users: users, items: items, dense: model.dense.weights.pointer)
  }

  func forward(_ parameters: BatchParameters) throws {
    unsafe try model.backbone.forward(batch.rows, parameters, into: batch.logits.pointer)
  }

  /// Gradients of the batch from the derivatives in it; item rows end with their owners.
  ///
  /// - Throws: What the exchange throws.
  func backward(_ parameters: BatchParameters) throws {
    if !isReducing {
      gradients.itemPartials = try exchange.makePartials(capacity: mostPartials)
      isReducing = true
    }
    unsafe try model.backbone.backward(
      batch.rows, parameters, scoreGradients: batch.gradients.pointer, into: gradients)
    clock.lap(.backward)
    itemSums = try exchange.reduceToOwners(gradients.itemPartials)
    clock.lap(.reduce)
  }

  /// The optimizer's step on everything the batch touched.
  ///
  /// Call after the dense reduction.
  ///
  /// - Parameters:
  ///   - step: The constants for rows.
  ///   - denseStep: The constants for dense parameters.
  /// - Throws: What the exchange throws.
  func update(_ step: RowOptimizer.Step, _ denseStep: RowOptimizer.Step) throws {
    unsafe model.items.update(
      step, index: itemSums.keys, count: itemSums.count, gradients: itemSums.rows)
    clock.lap(.update)
    // What other ranks wait for comes first.
    if !isFetching {
      unsafe try exchange.publish(keys: itemSums.keys, count: itemSums.count, of: model.items)
    }
    clock.lap(.exchange)
    unsafe model.users.update(
      step, index: userKeys, count: userKeyCount, gradients: gradients.userRows.pointer)
    unsafe model.dense.update(
      denseStep, index: model.denseKey, count: 1, gradients: reduction.sum)
    clock.lap(.update)
  }
}
