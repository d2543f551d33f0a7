/* EFI/BOOT/BOOTX64.EFI: a PE image whose last section ends with the guest's image.
   The disk's composer appends the image and writes its size to `payload_size`, and the sizes of the PE header.
   File alignment is section alignment, and the block of relocations is empty: all of it is position independent. */
        .set    PAGE, 0x1000
        .set    CODE, 2 * PAGE

        .code64
        .text
        .globl  start
start:  .ascii  "MZ"
        .org    0x3c
        .long   0x40
        .ascii  "PE\0\0"
        .word   0x8664, 2
        .long   0, 0, 0
        .word   240, 0x222e     /* executable, large addresses, no line numbers and symbols, no debug */
        .word   0x20b           /* PE32+ */
        .byte   0, 0
        .long   0               /* 0x5c: size of code */
        .long   PAGE, 0
        .long   CODE            /* entry */
        .long   CODE
        .quad   0               /* image base */
        .long   PAGE, PAGE
        .word   0, 0, 0, 0, 0, 0
        .long   0
        .long   0               /* 0x90: size of image */
        .long   PAGE
        .long   0
        .word   10, 0           /* EFI application */
        .quad   0, 0, 0, 0
        .long   0, 16
        .quad   0, 0, 0, 0, 0
        .long   PAGE, 8         /* relocations */
        .quad   0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        .ascii  ".reloc\0\0"
        .long   PAGE, PAGE, PAGE, PAGE, 0, 0, 0, 0x42000040
        .ascii  ".text\0\0\0"
        .long   0               /* 0x178: virtual size */
        .long   CODE
        .long   0               /* 0x180: raw size */
        .long   CODE, 0, 0, 0, 0xe0000020

        .org    PAGE
        .long   0, 8            /* an empty block */
        .org    CODE
entry:  jmp     1f
        .balign 8
payload_size: .quad 0           /* CODE + 8 */
1:      pushq   %rbx
        movq    %rcx, %r12      /* our handle */
        movq    %rdx, %r13      /* the system table */
        movq    0x60(%r13), %r14
        subq    $0x48, %rsp     /* shadow space and arguments; keeps the stack aligned */

        leaq    handover(%rip), %r8
        movq    0x68(%r13), %rcx
        movq    0x70(%r13), %rsi
tables: testq   %rcx, %rcx
        jz      map
        movq    (%rsi), %rax
        cmpq    acpi_guid(%rip), %rax
        jne     1f
        movq    16(%rsi), %rax
        movl    %eax, (%r8)
        jmp     3f
1:      cmpq    smbios_guid(%rip), %rax
        je      2f
        cmpq    smbios3_guid(%rip), %rax
        jne     3f
2:      movq    16(%rsi), %rax
        movl    %eax, 4(%r8)
3:      addq    $24, %rsi
        decq    %rcx
        jmp     tables

map:    movl    $16, %ebx       /* the map may change under us: try again */
again:  movq    $0x8000, map_size(%rip)
        leaq    map_size(%rip), %rcx
        leaq    memory_map(%rip), %rdx
        leaq    map_key(%rip), %r8
        leaq    descriptor_size(%rip), %r9
        leaq    descriptor_version(%rip), %rax
        movq    %rax, 0x20(%rsp)
        call    *0x38(%r14)     /* GetMemoryMap */
        movq    %r12, %rcx
        movq    map_key(%rip), %rdx
        call    *0xe8(%r14)     /* ExitBootServices */
        testq   %rax, %rax
        jz      leave
        decl    %ebx
        jnz     again
1:      hlt
        jmp     1b

leave:  cli
        cld
        leaq    handover(%rip), %rbx
        leaq    payload(%rip), %rsi
        movl    $0x100000, %edi
        movq    payload_size(%rip), %rcx
        rep movsb
        leaq    gdt(%rip), %rax
        movq    %rax, gdt_pointer + 2(%rip)
        lgdt    gdt_pointer(%rip)
        leaq    narrow(%rip), %rax
        pushq   $8
        pushq   %rax
        lretq

        .code32
narrow: movw    $16, %ax        /* we run identity-mapped below 4 GiB */
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    %cr0, %eax
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0
        movl    $0xc0000080, %ecx
        rdmsr
        andl    $~0x100, %eax
        wrmsr
        xorl    %eax, %eax
        movl    %eax, %cr4
        movl    $0x49464555, %eax
        movl    $0x100000, %ecx
        jmp     *%ecx

        .balign 8
acpi_guid: .quad 0x11d3e4f18868e871     /* the first halves tell them apart */
smbios_guid: .quad 0x11d32d88eb9d2d31
smbios3_guid: .quad 0x4a2c9794f2fd1544
handover: .long 0, 0
map_size: .quad 0
map_key: .quad 0
descriptor_size: .quad 0
descriptor_version: .quad 0
gdt:    .quad   0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer: .word 23
        .quad   0
        .balign 16
payload:                        /* the memory map is taken to the room behind it */
        .set    memory_map, payload + 0x80000
