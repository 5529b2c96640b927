import Kernels
import Sharding

extension AlignedBuffer<Float> {
  /// One value for each of `degrees`.
  convenience init(_ degrees: [Int], _ value: (Float) -> Float) {
    self.init(count: degrees.count)
    for (row, degree) in degrees.enumerated() { unsafe pointer[row] = value(Float(degree)) }
  }
}

extension RowTable {
  /// Propagated rows: no optimizer updates them.
  convenience init(propagated layout: RowLayout, rows: Range<Int>) {
    self.init(
      layout: layout, held: rows, owned: rows, optimizer: .gradientDescent, isLazy: false)
  }
}
