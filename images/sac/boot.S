/* The ways in: multiboot, PVH, and the loaders of the BIOS disk and the UEFI disk.
   All of them come here in 32-bit protected mode without paging; the loaders jump to the image's first byte. */

        .set    MULTIBOOT_MAGIC, 0x1badb002

        .section .head, "ax"
        .code32
        .globl  start, pvh_start
start:                          /* eax: who loaded us; ebx: what it hands over */
        cli
        cld
        jmp     enter

        .balign 4
        .globl  multiboot_header
multiboot_header:               /* sac_boot blanks its magic for PVH: qboot would take multiboot first */
        .long   MULTIBOOT_MAGIC, 0, -MULTIBOOT_MAGIC

pvh_start:
        cli
        cld
        movl    $0x48564550, %eax
enter:
        movl    $stack_top, %esp
        lgdt    gdt_pointer
        ljmp    $8, $1f
1:      movw    $16, %cx
        movw    %cx, %ds
        movw    %cx, %es
        movw    %cx, %ss
        xorl    %ecx, %ecx
        movw    %cx, %fs
        movw    %cx, %gs
        movl    %eax, %esi
        movl    $bss_start, %edi
        movl    $bss_end, %ecx
        subl    %edi, %ecx
        xorl    %eax, %eax
        rep stosb
        pushl   %ebx
        pushl   %esi
        call    run
1:      hlt
        jmp     1b

        .balign 8
gdt:    .quad   0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
        .word   23
        .long   gdt

        .section .note.Xen, "a", @note
        .long   4, 4, 18        /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .long   pvh_start

        .bss
        .balign 16
        .skip   32768
stack_top:

        .section .note.GNU-stack, "", @progbits
