import Kernels
import Testing

@Suite struct RowLayoutTests {
  @Test(arguments: [
    (1, false, 8), (8, false, 8), (9, false, 16), (10, true, 24), (32, true, 40), (100, false, 104),
  ])
  func stridesAreWholeBlocks(factors: Int, hasBias: Bool, stride: Int) {
    let layout = RowLayout(factors: factors, hasBias: hasBias)
    #expect(layout.stride == stride)
    #expect(layout.biasColumn == (factors + 7) / 8 * 8)
    #expect(WeightedProduct.denseCount(layout) == stride + 8)
  }

  @Test func aRowWithoutFactorsIsRefused() async {
    await #expect(processExitsWith: .failure) { _ = RowLayout(factors: 0, hasBias: true) }
  }
}

@Suite struct AlignedBufferTests {
  @Test(arguments: [0, 1, 15, 1000, (4 << 20) / 4, (4 << 20) / 4 + 1])
  func isZeroAndAligned(count: Int) {
    let buffer = AlignedBuffer<Float>(count: count)
    let alignment = count * 4 >= 4 << 20 ? 2 << 20 : 64
    #expect(unsafe UInt(bitPattern: buffer.pointer) % UInt(alignment) == 0)
    #expect(unsafe buffer.elements.count == count)
    #expect(unsafe buffer.elements.allSatisfy { $0.bitPattern == 0 })
  }

  @Test func aNegativeCountIsRefused() async {
    await #expect(processExitsWith: .failure) { _ = AlignedBuffer<Float>(count: -1) }
  }
}
