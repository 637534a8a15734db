# No kernel may spill registers or keep an array in local memory: nvcc -Xptxas -v says what each does.
#   cmake -DNVCC=... -DROOT=... -P spills.cmake
file(GLOB sources ${ROOT}/kernels/*.cu)
set(kernels 0)
foreach(f ${sources})
  execute_process(COMMAND ${NVCC} -std=c++20 -O3 --expt-relaxed-constexpr -I${ROOT} -gencode=arch=compute_80,code=sm_80
                          -gencode=arch=compute_90a,code=sm_90a -Xptxas -v -c ${f} -o ${CMAKE_CURRENT_BINARY_DIR}/spills.o
                  RESULT_VARIABLE rc OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT rc EQUAL 0)
    message(SEND_ERROR "${f}: nvcc says\n${out}")
    continue()
  endif()
  string(REGEX MATCHALL "[0-9]+ bytes stack frame, [0-9]+ bytes spill stores, [0-9]+ bytes spill loads" lines "${out}")
  foreach(l ${lines})
    math(EXPR kernels "${kernels}+1")
    if(NOT l MATCHES "^0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads$")
      message(SEND_ERROR "${f}: a kernel has ${l}; see nvcc -Xptxas -v")
    endif()
  endforeach()
endforeach()
if(kernels LESS 50)
  message(SEND_ERROR "only ${kernels} kernels reported; has the compiler's report changed?")
endif()
message(STATUS "spills: none in ${kernels} kernels")
