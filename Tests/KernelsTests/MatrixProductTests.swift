import Kernels
import Testing

@Suite struct MatrixProductTests {
  static let shapes = [
    (1, 1, 1), (1, 7, 3), (7, 1, 5), (3, 5, 1), (8, 8, 8), (9, 31, 17), (33, 2, 64), (5, 65, 129),
  ]

  /// An entry takes at most K + 2 roundings of its terms, in whatever order they are added.
  @Test(arguments: shapes, [(false, false), (false, true), (true, false), (true, true)])
  func agreesWithAScalarProduct(
    shape: (rows: Int, columns: Int, inner: Int), transposed: (a: Bool, b: Bool)
  ) {
    let (m, n, k) = shape
    var draws = Draws(seed: UInt64(m * n * k))
    let (a, b, c) = (draws.floats(m * k), draws.floats(k * n), draws.floats(m * n))
    let (left, right) = (AlignedBuffer(a), AlignedBuffer(b))
    MatrixProduct.useOneThread()
    for scale in [Float(0), 1] {
      // A product that overwrites must not look at what was there.
      let result = AlignedBuffer(scale == 0 ? [Float](repeating: .nan, count: m * n) : c)
      unsafe MatrixProduct.multiply(
        rows: m, columns: n, inner: k, left.pointer, right.pointer, into: result.pointer,
        scale: scale, transposeA: transposed.a, transposeB: transposed.b)
      for row in 0..<m {
        for column in 0..<n {
          var reference = Reference()
          if scale == 1 { reference.add(Double(c[row * n + column])) }
          for index in 0..<k {
            let x = transposed.a ? a[index * m + row] : a[row * k + index]
            let y = transposed.b ? b[column * k + index] : b[index * n + column]
            reference.add(Double(x) * Double(y))
          }
          #expect(reference.admits(result.values[row * n + column], roundings: k + 2))
        }
      }
    }
    withExtendedLifetime((left, right)) {}
  }

  /// Parts of wider matrices, at any place in memory; what lies between the rows stays.
  @Test(arguments: shapes)
  func partsOfMatricesGiveTheSameBits(shape: (rows: Int, columns: Int, inner: Int)) {
    let (m, n, k) = shape
    var draws = Draws(seed: UInt64(m * n * k))
    let (a, b) = (AlignedBuffer(draws.floats(m * k)), AlignedBuffer(draws.floats(k * n)))
    let c = AlignedBuffer<Float>(count: m * n)
    unsafe MatrixProduct.multiply(
      rows: m, columns: n, inner: k, a.pointer, b.pointer, into: c.pointer)
    for offset in 1..<16 {
      let (wideA, wideB) = (
        AlignedBuffer<Float>(count: offset + m * (k + 3)),
        AlignedBuffer<Float>(count: offset + k * (n + 5))
      )
      for place in 0..<m * k {
        unsafe wideA.pointer[offset + place / k * (k + 3) + place % k] = a.pointer[place]
      }
      for place in 0..<k * n {
        unsafe wideB.pointer[offset + place / n * (n + 5) + place % n] = b.pointer[place]
      }
      let wideC = AlignedBuffer([Float](repeating: 9, count: offset + m * (n + 1)))
      unsafe MatrixProduct.multiply(
        rows: m, columns: n, inner: k, Matrix(wideA.pointer + offset, stride: k + 3),
        Matrix(wideB.pointer + offset, stride: n + 5),
        into: MutableMatrix(wideC.pointer + offset, stride: n + 1), factor: 0.5)
      let values = wideC.values
      for row in 0..<m {
        let start = offset + row * (n + 1)
        #expect(
          values[start..<start + n].map { 2 * $0 }.bits
            == c.values[row * n..<(row + 1) * n].map { $0 }.bits)
        #expect(values[start + n] == 9)
      }
      withExtendedLifetime((wideA, wideB)) {}
    }
    withExtendedLifetime((a, b)) {}
  }

  @Test func emptyProductsAreZeroOrLeaveTheSum() {
    let (a, b) = (AlignedBuffer<Float>(count: 8), AlignedBuffer<Float>(count: 8))
    let sums = AlignedBuffer<Float>([1, 2, 3, 4])
    unsafe MatrixProduct.multiply(
      rows: 0, columns: 2, inner: 2, a.pointer, b.pointer, into: sums.pointer)
    unsafe MatrixProduct.multiply(
      rows: 2, columns: 2, inner: 0, a.pointer, b.pointer, into: sums.pointer, scale: 1)
    #expect(sums.values == [1, 2, 3, 4])
    unsafe MatrixProduct.multiply(
      rows: 2, columns: 2, inner: 0, a.pointer, b.pointer, into: sums.pointer)
    #expect(sums.values == [0, 0, 0, 0])
    withExtendedLifetime((a, b)) {}
  }

  @Test func dimensionsBeyondTheLibraryAreRefused() async {
    await #expect(processExitsWith: .failure) {
      let memory = AlignedBuffer<Float>(count: 8)
      unsafe MatrixProduct.multiply(
        rows: 1 << 31, columns: 1, inner: 1, memory.pointer, memory.pointer,
        into: memory.pointer)
    }
  }
}
