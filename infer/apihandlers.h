// The handlers that the table of routes names.
#pragma once
#include "infer/api.h"

namespace duet {

void generations(Call&);  // apiimages.cc
void edits(Call&);
void variations(Call&);
void chat(Call&);        // apichat.cc
void embeddings(Call&);  // apiread.cc
void classify_route(Call&);
void sd_txt2img(Call&);  // apisd.cc
void sd_img2img(Call&);
void sd_progress(Call&);
void sd_interrupt(Call&);
void sd_png_info(Call&);
void sd_interrogate(Call&);
void sd_options(Call&);
void sd_set_options(Call&);
void sd_models(Call&);
void sd_samplers(Call&);

}  // namespace duet
