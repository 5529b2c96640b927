/// How strongly each row of a batch pulls the table rows it reads towards zero.
///
///     J = ½ Σ_b (users[b] · ‖user row of b‖² + items[b] · ‖item row of b‖²)
///
/// beside the objective: so the gradient of a table row gets `weight · θ` for each batch row that
/// reads it, among the terms of that batch row, in the order of the sums.
@safe
package struct BatchDecay {
  /// `(B)`.
  package let users: UnsafePointer<Float>
  /// `(B)`: for each item row that the batch row reads.
  package let items: UnsafePointer<Float>

  package init(users: UnsafePointer<Float>, items: UnsafePointer<Float>) {
    unsafe self.users = unsafe users
    unsafe self.items = unsafe items
  }
}

/// The weights of a batch's rows on one side, or none.
@safe
struct SideDecay {
  let weights: UnsafePointer<Float>?

  /// The weight of the rows at the positions `order[range]` together.
  ///
  /// They lie in one shard; added in their order.
  @inline(__always)
  func sum(_ order: UnsafePointer<UInt32>, _ start: Int, _ end: Int) -> Float {
    guard let weights = unsafe weights else { return 0 }
    var sum: Float = 0
    for index in start..<end { unsafe sum += weights[Int(order[index])] }
    return sum
  }
}
