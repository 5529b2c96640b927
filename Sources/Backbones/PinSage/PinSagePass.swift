import Kernels

/// The way back of one block through affine maps.
@safe
struct PinSagePass {
  let rows: Int
  let dense: UnsafePointer<Float>
  /// The dense gradient of the block's shard, added to.
  let leaf: UnsafeMutablePointer<Float>

  init(rows: Int, dense: UnsafePointer<Float>, leaf: UnsafeMutablePointer<Float>) {
    self.rows = rows
    unsafe self.dense = unsafe dense
    unsafe self.leaf = unsafe leaf
  }

  /// Writes the gradient of a map's input and adds those of its parameters.
  func backward(
    _ map: PinSageMap, input: Matrix, _ outputGradient: Matrix, into target: MutableMatrix
  ) {
    unsafe Linear.backward(
      map.layer(dense), rows: rows, input: input, outputGradient: outputGradient,
      inputGradient: target, gradients: map.gradients(leaf))
  }
}
