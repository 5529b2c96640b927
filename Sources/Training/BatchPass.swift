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
  /// Whether ranks read item rows that others own without asking for them.
  private let hasCopies: Bool
  /// Whether partial sums have their memory, which a pass that only scores does not need.
  private var isReducing = false
  /// Made by the first backward pass with a decay, when the backbone propagates.
  private var propagatedDecay: PropagatedDecay?
  private let context: JobContext
  /// No batch has more partial sums: one for each item it reads and block of shards.
  private let mostPartials: Int
  private let references: AlignedBuffer<UInt32>
  private let fetched: ScratchBuffer<Float>
  private let fetchedShifts: ScratchBuffer<Float>
  /// The complete gradients of item rows that this rank owns, after ``backward(_:)``: of those that
  /// any rank touched, or of all for a backbone that propagates.
  private(set) var itemSums: KeyedRows
  /// The gradients of user rows, after ``backward(_:)``, likewise.
  private(set) var userSums: KeyedRows

  /// - Parameters:
  ///   - capacity: Rows of the largest step.
  ///   - sequences: The most sequences of a step, for a backbone that reads them.
  ///   - figureCount: Figures that travel with the dense gradients.
  ///   - model: The parameters.
  ///   - context: Ranks, shards and the way sums are taken.
  init(
    capacity: Int, sequences: SequenceCapacity? = nil, figureCount: Int, model: Model,
    context: JobContext
  ) {
    self.model = model
    let referenceCapacity = capacity + (sequences?.places ?? 0)
    self.context = context
    clock = context.clock
    exchange = context.makeExchange(model)
    isFetching = context.isSharded && !exchange.isShared && model.propagation == nil
    hasCopies = !isFetching && model.propagation == nil
    let fetchable = isFetching ? referenceCapacity * model.items.stride : 0
    fetched = ScratchBuffer(count: fetchable)
    fetchedShifts = ScratchBuffer(count: fetchable)
    batch = StepBatch(
      capacity: capacity, sequences: sequences, tree: context.tree, rank: context.group.rank)
    reduction = DenseReduction(
      group: context.group, tree: context.tree, width: model.backbone.denseCount,
      figureCount: figureCount, ordered: context.isOrdered)
    gradients = unsafe BatchGradients(
      capacity: capacity, references: referenceCapacity, users: model.users.held.count,
      backbone: model.backbone, shardCount: context.tree.shardCount, ordered: context.isOrdered,
      denseLeaves: reduction.leaves.pointer,
      itemPartials: PartialRows(capacity: 0, stride: model.scoredItems.stride))
    let blocks = context.tree.blocks(of: context.group.rank)
    mostPartials = min(referenceCapacity, model.itemCount * blocks.count)
    references = AlignedBuffer(count: referenceCapacity)
    itemSums = unsafe KeyedRows(
      keys: gradients.itemPartials.keys.pointer, rows: gradients.itemPartials.rows.pointer,
      count: 0)
    userSums = unsafe KeyedRows(
      keys: gradients.userSegments.segmentKeys.pointer, rows: gradients.userRows.pointer, count: 0)
  }

  /// Makes room for the activations of the largest batch, so that no later step has to.
  func reserve() { model.backbone.reserve(rows: batch.capacity) }

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
      references.pointer, count: rows.referenceCount, bound: model.itemCount)
  }

  /// Where the batch finds its parameters: the tables, with item rows fetched where they are not
  /// here. Call after ``sort()``.
  ///
  /// - Throws: What the exchange throws.
  func parameters() throws -> BatchParameters {
    defer { clock.lap(.exchange) }
    try clock.begin(.exchange)
    try exchange.settle()
    if model.propagation != nil {
      clock.lap(.exchange)
      try clock.begin(.forward)
      try model.propagate(dropout: batch.dropout)
      clock.lap(.forward)
      try clock.begin(.exchange)
    }
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
    try clock.begin(.exchange)
    guard isFetching else { return unsafe (parameters(items: nil), nil) }
    let rows = unsafe fetched.reserve(itemKeyCount * model.items.stride)
    let itemShifts = unsafe fetchedShifts.reserve(itemKeyCount * model.items.stride)
    unsafe try exchange.fetch(
      keys: itemKeys, count: itemKeyCount, from: model.items, companion: shifts, into: rows,
      companionTarget: itemShifts)
    return unsafe (parameters(items: rows), UnsafePointer(itemShifts))
  }

  /// Gives every rank the sums of item rows, unless nobody has copies to shift.
  ///
  /// - Throws: What the exchange throws.
  func spreadItemSums() throws -> [KeyedRows] {
    defer { clock.lap(.exchange) }
    try clock.begin(.exchange)
    return hasCopies ? try exchange.spread(itemSums) : []
  }

  /// Takes the virtual step on all parameters: the gradients of this pass have become shifts.
  ///
  /// Call after ``spreadItemSums()``; reading needs ``settle()`` first.
  ///
  /// - Parameter factor: 1 for the direct step, −1 for the inverse.
  /// - Returns: Whether all shifted parameters are finite.
  /// - Throws: What the exchange throws.
  @discardableResult
  func shift(factor: Float) throws -> Bool {
    var isFinite = try shiftItems(factor: factor)
    if model.hasUserRows {
      let usersAre = unsafe model.users.shift(
        factor: factor, index: userSums.keys, count: userSums.count, shifts: userSums.rows)
      isFinite = isFinite && usersAre
    }
    let denseIs = unsafe model.dense.shift(
      factor: factor, index: model.denseKey, count: 1, shifts: reduction.sum)
    model.noteChange()
    return isFinite && denseIs
  }

  /// Takes the virtual step on item rows wherever they are: each copy is changed by the ranks that
  /// share it.
  private func shiftItems(factor: Float) throws -> Bool {
    guard hasCopies else { return shift(itemSums, factor) }
    var isFinite = true
    for rows in exchange.writtenRows where !shift(rows, factor) { isFinite = false }
    try exchange.announce()
    return isFinite
  }

  /// The item rows that a virtual step changes here.
  private var shiftedItems: [KeyedRows] { hasCopies ? exchange.writtenRows : [itemSums] }

  /// Keeps the parameters that ``shift(factor:)`` is about to change.
  func keepParameters(in copies: ParameterCopies) {
    copies.keep(users: userSums, items: shiftedItems)
  }

  /// Takes ``shift(factor:)`` back. No rank may be reading item rows; reading needs ``settle()``.
  ///
  /// - Throws: What the exchange throws.
  func restoreParameters(from copies: ParameterCopies) throws {
    copies.restore(users: userSums, items: shiftedItems)
    if hasCopies { try exchange.announce() }
  }

  private func shift(_ rows: KeyedRows, _ factor: Float) -> Bool {
    unsafe model.items.shift(
      factor: factor, index: rows.keys, count: rows.count, shifts: rows.rows)
  }

  /// Returns when item rows can be read again.
  ///
  /// - Throws: What the exchange throws.
  func settle() throws {
    clock.lap(.update)
    try clock.begin(.exchange)
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
      base: model.scoredUsers.weights.pointer, spacing: model.scoredUsers.spacing,
      index: batch.users.pointer)
    let items =
      if let items = unsafe items {
        unsafe WeightedProduct.Side(
          base: items, spacing: model.scoredItems.stride,
          index: gradients.itemSegments.segmentOfPosition)
      } else {
        unsafe WeightedProduct.Side(
          base: model.scoredItems.weights.pointer, spacing: model.scoredItems.spacing,
          index: references.pointer)
      }
    return unsafe BatchParameters(users: users, items: items, dense: model.dense.weights.pointer)
  }

  func forward(_ parameters: BatchParameters) throws {
    try clock.begin(.forward)
    unsafe try model.backbone.forward(batch.rows, parameters, into: batch.logits.pointer)
  }

  /// Gradients of the batch from the derivatives in it and of its decay; item rows end with their
  /// owners.
  ///
  /// - Throws: What the exchange throws.
  func backward(_ parameters: BatchParameters) throws {
    try clock.begin(.backward)
    if !isReducing {
      gradients.itemPartials = try exchange.makePartials(capacity: mostPartials)
      isReducing = true
    }
    let decay = gradients.decay
    if model.propagation != nil { gradients.decay = nil }
    unsafe try model.backbone.backward(
      batch.rows, parameters, scoreGradients: batch.gradients.pointer, into: gradients)
    clock.lap(.backward)
    try clock.begin(.reduce)
    itemSums = try exchange.reduceToOwners(gradients.itemPartials)
    userSums = unsafe KeyedRows(
      keys: gradients.userSegments.segmentKeys.pointer, rows: gradients.userRows.pointer,
      count: userKeyCount)
    clock.lap(.reduce)
    if let propagation = model.propagation {
      try clock.begin(.backward)
      (userSums, itemSums) = unsafe try propagation.backward(
        users: userSums, items: itemSums, model.tables, denseLeaves: gradients.denseLeaves)
      if let decay {
        let adding = try propagatedDecay ?? makeDecay()
        try adding.add(decay, of: batch.rows, gradients, users: userSums, items: itemSums)
      }
      clock.lap(.backward)
    }
  }

  private func makeDecay() throws -> PropagatedDecay {
    let made = try PropagatedDecay(
      capacity: batch.capacity, mostPartials: mostPartials, model: model, context: context)
    propagatedDecay = made
    return made
  }

  /// The optimizer's step on everything the batch touched.
  ///
  /// Call after the dense reduction.
  ///
  /// - Parameters:
  ///   - step: The constants for rows.
  ///   - denseStep: The constants for dense parameters.
  /// - Returns: Whether all that was written here is finite.
  /// - Throws: What the exchange throws.
  func update(_ step: RowOptimizer.Step, _ denseStep: RowOptimizer.Step) throws -> Bool {
    try clock.begin(.update)
    var isFinite = unsafe model.items.update(
      step, index: itemSums.keys, count: itemSums.count, gradients: itemSums.rows)
    clock.lap(.update)
    // What other ranks wait for comes first.
    try clock.begin(.exchange)
    try publishItems()
    clock.lap(.exchange)
    try clock.begin(.update)
    if model.hasUserRows {
      let usersAre = unsafe model.users.update(
        step, index: userSums.keys, count: userSums.count, gradients: userSums.rows)
      isFinite = isFinite && usersAre
    }
    if model.backbone.trainsDense {
      let denseIs = unsafe model.dense.update(
        denseStep, index: model.denseKey, count: 1, gradients: reduction.sum)
      isFinite = isFinite && denseIs
    }
    model.noteChange()
    clock.lap(.update)
    return isFinite
  }

  /// Brings all copies of the item rows that the owners changed up to date, if there are any.
  private func publishItems() throws {
    guard hasCopies else { return }
    unsafe try exchange.publish(keys: itemSums.keys, count: itemSums.count, of: model.items)
  }
}
