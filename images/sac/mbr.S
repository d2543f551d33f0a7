/* The BIOS disk's first sector: reads the image that follows it, and enters it at 1 MiB.
   The disk's composer writes the number of sectors to `sectors` and the partition table behind the code. */
        .set    LOW, 0x10000    /* where the BIOS can write */
        .set    CHUNK, 64       /* sectors of one request; some BIOSes refuse more than 127 */

        .code16
        .text
        .globl  start
start:  jmp     1f
        .org    4
sectors: .word  0
1:      cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        sti
        cld
        movw    sectors, %bp
next:   movw    $CHUNK, %ax
        cmpw    %ax, %bp
        jae     1f
        movw    %bp, %ax
1:      movw    %ax, count
        pushw   %ax
        movw    $packet, %si
        movb    $0x42, %ah
        int     $0x13
        popw    %ax
        jc      failed
        addw    %ax, block
        movw    %ax, %cx
        shlw    $5, %cx         /* sectors to paragraphs */
        addw    %cx, segment
        subw    %ax, %bp
        jnz     next

        inb     $0x92, %al      /* A20, should the BIOS have left it off */
        orb     $2, %al
        andb    $0xfe, %al
        outb    %al, $0x92
        cli
        lgdt    gdt_pointer
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmp    $8, $protected

failed: movw    $message, %si
1:      lodsb
        testb   %al, %al
        jz      2f
        movb    $0x0e, %ah
        movw    $7, %bx
        int     $0x10
        jmp     1b
2:      hlt
        jmp     2b
message: .asciz "The disk can't be read.\r\n"

        .code32
protected:
        movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movzwl  sectors, %ecx
        shll    $7, %ecx        /* sectors to 32-bit words */
        movl    $LOW, %esi
        movl    $0x100000, %edi
        rep movsl
        movl    $0x534f4942, %eax
        xorl    %ebx, %ebx
        movl    $0x100000, %ecx
        jmp     *%ecx

        .balign 4
packet: .byte   16, 0
count:  .word   0
offset: .word   0
segment: .word  LOW >> 4
block:  .long   1, 0

        .balign 8
gdt:    .quad   0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
        .word   23
        .long   gdt
        .org    440
