import Foundation
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

  @Test func fewerThanNoFactorsAreRefused() async {
    await #expect(processExitsWith: .failure) { _ = RowLayout(factors: -1, hasBias: true) }
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

  #if os(Linux)
    /// More than most machines have: it must cost only the pages that are touched.
    @Test func aSparseBufferCostsWhatIsTouched() {
      let count = 1 << 36
      let buffer = AlignedBuffer<UInt8>(count: count, isSparse: true)
      let places = [0, count / 2 + 12_345, count - 1]
      for place in places { unsafe buffer.pointer[place] += 1 }
      #expect(places.allSatisfy { unsafe buffer.pointer[$0] == 1 })
      // The neighbourhood of the one in the middle: 64 MiB of which one page is there.
      let page = Int(getpagesize())
      let first = places[1] / page * page - (32 << 20)
      var resident = [UInt8](repeating: 0, count: (64 << 20) / page)
      let status = unsafe resident.withUnsafeMutableBufferPointer {
        unsafe mincore(buffer.pointer + first, 64 << 20, $0.baseAddress)
      }
      #expect(status == 0)
      #expect(resident.reduce(0) { $0 + Int($1 & 1) } == 1)
    }
  #endif

  @Test func aNegativeCountIsRefused() async {
    await #expect(processExitsWith: .failure) { _ = AlignedBuffer<Float>(count: -1) }
  }
}
