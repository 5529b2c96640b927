import Checkpoints
import Fabric
import Storage
import Testing

/// A copy of tensors saves what they were.
@Suite struct SlabCopyTests {
  /// Rows without and with gaps between them, fewer elements than an alignment, and none at all.
  @Test(arguments: [3, 5]) func aCopyIsSavedWhileTheOriginalsChange(stride: Int) throws {
    var values = (0..<7 * stride).map { Float($0) }
    var steps: [Int64] = [4, 0, 9]
    try withDirectory { path in
      unsafe try values.withUnsafeMutableBufferPointer { values in
        unsafe try steps.withUnsafeMutableBufferPointer { steps in
          let none: UnsafePointer<Float>? = nil
          let slabs = unsafe [
            TensorSlab(
              name: "rows", shape: [7, 3], rows: 0..<7, stride: stride,
              base: UnsafePointer(values.baseAddress)),
            TensorSlab(
              name: "steps", shape: [3], rows: 0..<3, base: UnsafePointer(steps.baseAddress)),
            TensorSlab(name: "none", shape: [0, 2], rows: 0..<0, base: none),
          ]
          #expect(SlabCopy.byteCount(of: slabs) == 4 * 7 * 3 + 8 * 3)
          try TensorFile.write("\(path)/original", slabs, group: SoloGroup())
          let copy = SlabCopy(slabs)
          unsafe values.update(repeating: -1)
          unsafe steps.update(repeating: 1)
          unsafe try TensorFile.write("\(path)/copy", copy.slabs, group: SoloGroup())
          copy.update(from: slabs)
          unsafe try TensorFile.write("\(path)/later", copy.slabs, group: SoloGroup())
          try TensorFile.write("\(path)/changed", slabs, group: SoloGroup())
        }
      }
      #expect(try Files.read("\(path)/copy") == Files.read("\(path)/original"))
      #expect(try Files.read("\(path)/later") == Files.read("\(path)/changed"))
      #expect(try Files.read("\(path)/later") != Files.read("\(path)/original"))
    }
  }
}
