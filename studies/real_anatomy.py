"""Do ten findings of the phantoms survive real anatomy?

Ten claims, named before any row of this study existed; in brackets the verdict on drawn phantoms, behind it the test.

1. cross_domain_fbp_unet (holds): FBP with a network beats FBP. Sparse-view CT of the real CT slice and of a head.
2. cross_domain_tv (holds when): FBP with a network beats total variation. The same rows, total variation tuned on the
   images that train the network.
3. mri_learned (holds when): learned reconstruction beats compressed sensing. A quarter of the columns of a head and of
   an abdomen; a UNet and a cascade beside total variation.
4. mri_few_weights (holds): with the operator inside, a network of fewer weights suffices. The cascade beside the UNet
   alone, with the layer behind it, and trained through the layer.
5. mri_never_worse (holds when): hard data consistency never increases the error. Each slice, with data of the same
   grid, of the finer grid, and with noise.
6. mri_incoherent (false as told): random columns are better than a plain low pass. Zero filling, total variation and a
   cascade trained for each mask.
7. residual_learning_faster (holds when): residual learning trains faster. The error on blurred real slices after
   equally many updates.
8. unet_skips_detail (holds when): skips carry the fine detail. UNets with and without skips on blurred real slices,
   error at edges, and at edges beside the whole.
9. limits_strange (holds): a network gains less on strange patients. Networks of phantoms and of photographs on real
   slices, beside their own kind and beside networks of other real patients.
10. limits_organ (holds): networks draw structures that are not there. A disc in all training slices of one head, none
    in the other head; beside FBP, Tikhonov and total variation.

Chosen by the ledger's reach: in the seven lines of the summary (8, 7, 1, 4, 5, 9, 10), in its table of assumptions (8,
7, 1, 4), or the sentence of a chapter's paragraph there on which others lean (2, 3, 6). Left out although they reach as
far: vision_transformers_few, as five people say nothing about how many pairs a network needs; what is exact (ranks,
fields, equivariance) and does not depend on images; limits_unstable, for want of compute.
"""
